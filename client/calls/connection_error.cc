#include "client/calls/connection_error.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/calls/status_text.h"
#include "client/terminal/display_text.h"

namespace atelier::client {
namespace {

template <typename... Words>
absl::Status Unavailable(const Words&... words) {
  return absl::UnavailableError(absl::StrCat(words...));
}

absl::Status TlsError(const std::string& server, const ProbeFiles& files, const Probe& probe) {
  if (files.authorities.empty()) {
    return Unavailable("The server at ", server,
                       " uses TLS: give the CA of its certificate with --tls-ca=FILE or "
                       "ATELIER_TLS_CA.");
  }
  if (!probe.distrust.empty()) {
    return Unavailable("The server at ", server, " is not trusted: its certificate ",
                       EscapeControls(probe.distrust), ".");
  }
  if (files.certificate.empty()) {
    return Unavailable("The server at ", server,
                       " requires a client certificate: give --tls-cert=FILE and --tls-key=FILE.");
  }
  return Unavailable("The server at ", server, " does not accept the client certificate ",
                     EscapeControls(files.certificate),
                     " (--tls-cert): it must be issued by a CA that the server trusts.");
}

}  // namespace

absl::Status NotConnected(absl::string_view why, absl::string_view address, const ProbeFiles& files,
                          const Probe& probe) {
  using Protocol = Probe::Protocol;
  const std::string server = EscapeControls(address);
  if (absl::StrContains(why, "DNS resolution failed")) {
    return Unavailable("There is no host named '", server.substr(0, server.rfind(':')),
                       "': its name could not be resolved. Check --server or ATELIER_SERVER.");
  }
  if (absl::StrContains(why, "is not in peer certificate")) {
    return Unavailable("The certificate of the server at ", server,
                       " was issued for another name; use the name in the certificate.");
  }
  switch (probe.protocol) {
    case Protocol::kNone:
      return NoServer(address);
    case Protocol::kTls:
      return TlsError(server, files, probe);
    case Protocol::kHttp2:
      if (files.authorities.empty()) break;
      return Unavailable("The server at ", server,
                         " does not use TLS: omit --tls-ca and ATELIER_TLS_CA.");
    case Protocol::kHttp1:
      return Unavailable("The program at ", server,
                         " is not an Atelier server: it speaks HTTP/1, as atelierd does only on "
                         "its port for metrics. Check --server.");
    case Protocol::kSilent:
    case Protocol::kUnknown:
      return Unavailable("The program at ", server,
                         " is not an Atelier server: it does not speak gRPC. Check --server.");
  }
  return Unavailable("The connection to the server at ", server, " failed: ", EscapeControls(why),
                     ".");
}

}  // namespace atelier::client
