#include "client/calls/probe.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <ctime>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "client/calls/server_addresses.h"

namespace atelier::client {
namespace {

constexpr timeval kPatience = {.tv_sec = 2, .tv_usec = 0};
// The connection preface of HTTP/2 and an empty SETTINGS frame.
constexpr absl::string_view kHttp2Preface("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);

// A connected socket; closed with the object.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Socket() {
    if (descriptor_ >= 0) close(descriptor_);
  }

  bool open() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_ = -1;
};

Socket ConnectTo(int family, const sockaddr* address, socklen_t size) {
  Socket socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  setsockopt(socket.descriptor(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience));
  // Bounds connect(), too.
  setsockopt(socket.descriptor(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof(kPatience));
  return connect(socket.descriptor(), address, size) == 0 ? std::move(socket) : Socket();
}

Socket ConnectUnix(absl::string_view path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return Socket();
  path.copy(address.sun_path, path.size());
  return ConnectTo(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

Socket Connect(absl::string_view address) {
  if (absl::string_view path = address; absl::ConsumePrefix(&path, "unix:")) {
    return ConnectUnix(path);
  }
  Socket socket;
  const SocketAddresses found = Resolve(address);
  for (const addrinfo* one = found.get(); one != nullptr && !socket.open(); one = one->ai_next) {
    socket = ConnectTo(one->ai_family, one->ai_addr, one->ai_addrlen);
  }
  return socket;
}

Probe::Protocol ProtocolOf(absl::string_view bytes) {
  if (bytes.empty()) return Probe::Protocol::kSilent;
  // A status line in text, whatever version it names.
  if (absl::StartsWith(bytes, "HTTP/")) return Probe::Protocol::kHttp1;
  // A TLS record with an alert; a frame of type SETTINGS.
  if (absl::StartsWith(bytes, "\x15\x03")) return Probe::Protocol::kTls;
  if (bytes.size() >= 4 && bytes[3] == '\4') return Probe::Protocol::kHttp2;
  return Probe::Protocol::kUnknown;
}

Probe::Protocol AskWithoutTls(absl::string_view address) {
  const Socket socket = Connect(address);
  if (!socket.open()) return Probe::Protocol::kNone;
  send(socket.descriptor(), kHttp2Preface.data(), kHttp2Preface.size(), MSG_NOSIGNAL);
  std::array<char, 64> bytes{};
  const ssize_t size = recv(socket.descriptor(), bytes.data(), bytes.size(), 0);
  return ProtocolOf(absl::string_view(bytes.data(), size > 0 ? static_cast<std::size_t>(size) : 0));
}

template <typename Object, void (*free)(Object*)>
struct Free {
  void operator()(Object* object) const { free(object); }
};
using Context = std::unique_ptr<SSL_CTX, Free<SSL_CTX, SSL_CTX_free>>;
using Tls = std::unique_ptr<SSL, Free<SSL, SSL_free>>;
using Certificate = std::unique_ptr<X509, Free<X509, X509_free>>;

std::string MomentText(const ASN1_TIME* time) {
  std::tm parts = {};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "an unknown time";
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::FromTM(parts, absl::UTCTimeZone()),
                          absl::UTCTimeZone());
}

std::string NameText(const X509_NAME* name) {
  std::array<char, 256> text{};
  X509_NAME_get_text_by_NID(const_cast<X509_NAME*>(name), NID_commonName, text.data(),
                            static_cast<int>(text.size()));
  if (text[0] == '\0') X509_NAME_oneline(name, text.data(), static_cast<int>(text.size()));
  return text.data();
}

std::string DistrustOf(const SSL* tls, const std::string& authorities) {
  const Certificate certificate(SSL_get1_peer_certificate(tls));
  const long result = SSL_get_verify_result(tls);  // NOLINT(google-runtime-int): OpenSSL's type
  if (certificate == nullptr || result == X509_V_OK) return "";
  if (result == X509_V_ERR_CERT_HAS_EXPIRED) {
    return absl::StrCat("expired on ", MomentText(X509_get0_notAfter(certificate.get())));
  }
  if (result == X509_V_ERR_CERT_NOT_YET_VALID) {
    return absl::StrCat("is not valid before ", MomentText(X509_get0_notBefore(certificate.get())));
  }
  return absl::StrCat("was issued by '", NameText(X509_get_issuer_name(certificate.get())),
                      "', which is not among the authorities in ", authorities, " (--tls-ca)");
}

Context MakeContext(const ProbeFiles& files) {
  Context context(SSL_CTX_new(TLS_client_method()));
  if (context == nullptr) return context;
  // The handshake goes on whatever the certificate is; it is looked at afterwards.
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; });
  static constexpr std::array<unsigned char, 3> kAlpn = {2, 'h', '2'};
  SSL_CTX_set_alpn_protos(context.get(), kAlpn.data(), kAlpn.size());
  if (!files.authorities.empty()) {
    SSL_CTX_load_verify_file(context.get(), files.authorities.c_str());
  }
  if (!files.certificate.empty()) {
    SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str());
    SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM);
  }
  return context;
}

// Whether the peer ended the connection with an alert, which it sends about certificates.
bool GotAlert() {
  const int reason = ERR_GET_REASON(ERR_peek_last_error());
  return reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256;
}

Probe AskWithTls(absl::string_view address, const ProbeFiles& files) {
  Probe probe;
  const Socket socket = Connect(address);
  const Context context = MakeContext(files);
  if (!socket.open() || context == nullptr) return probe;
  probe.protocol = Probe::Protocol::kSilent;
  const Tls tls(SSL_new(context.get()));
  SSL_set_fd(tls.get(), socket.descriptor());
  SSL_set_tlsext_host_name(tls.get(), HostOf(address).c_str());
  ERR_clear_error();
  const bool connected = SSL_connect(tls.get()) == 1;
  if (connected || GotAlert()) probe.protocol = Probe::Protocol::kTls;
  probe.refused_client = !connected && GotAlert();
  if (connected) {
    if (!files.authorities.empty()) probe.distrust = DistrustOf(tls.get(), files.authorities);
    // With TLS 1.3 the server looks at the client's certificate only after the handshake.
    char byte = 0;
    ERR_clear_error();
    probe.refused_client = SSL_read(tls.get(), &byte, 1) <= 0;
  }
  ERR_clear_error();
  return probe;
}

}  // namespace

Probe ProbeServer(absl::string_view address, const ProbeFiles& files) {
  Probe probe = AskWithTls(address, files);
  if (probe.protocol == Probe::Protocol::kSilent) probe.protocol = AskWithoutTls(address);
  return probe;
}

}  // namespace atelier::client
