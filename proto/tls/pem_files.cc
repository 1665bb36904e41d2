#include "proto/tls/pem_files.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace atelier::tls {
namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Certificate = std::unique_ptr<X509, Free>;
using Key = std::unique_ptr<EVP_PKEY, Free>;

absl::Status Wrong(const PemFile& file, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(file.option, ": ", file.path, " ", why, "."));
}

absl::StatusOr<std::string> ReadFile(const PemFile& file) {
  struct stat what;
  if (stat(file.path.c_str(), &what) != 0) {
    return Wrong(file, absl::StrCat("cannot be read: ", std::strerror(errno)));
  }
  if (!S_ISREG(what.st_mode)) return Wrong(file, "is not a file");
  std::ifstream stream(file.path, std::ios::binary);
  if (!stream) return Wrong(file, absl::StrCat("cannot be read: ", std::strerror(errno)));
  std::string text(std::istreambuf_iterator<char>(stream), {});
  if (stream.bad()) return Wrong(file, "cannot be read");
  return text;
}

std::unique_ptr<BIO, Free> Source(const std::string& pem) {
  return std::unique_ptr<BIO, Free>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

std::vector<Certificate> ParseCertificates(const std::string& pem) {
  std::vector<Certificate> certificates;
  const auto source = Source(pem);
  while (X509* certificate = PEM_read_bio_X509(source.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(certificate);
  }
  ERR_clear_error();
  return certificates;
}

// Refuses to ask for a passphrase; sets the bool that is passed along.
int RefusePassphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

std::string Day(const ASN1_TIME* time) {
  std::tm parts = {};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "at an unknown time";
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::FromTM(parts, absl::UTCTimeZone()),
                          absl::UTCTimeZone());
}

// Empty if the certificate is valid now.
std::string WhyNotNow(const X509* certificate) {
  const ASN1_TIME* const end = X509_get0_notAfter(certificate);
  const ASN1_TIME* const begin = X509_get0_notBefore(certificate);
  if (X509_cmp_current_time(end) < 0) return absl::StrCat("expired on ", Day(end));
  if (X509_cmp_current_time(begin) > 0) return absl::StrCat("is not valid before ", Day(begin));
  return "";
}

}  // namespace

absl::StatusOr<Identity> ReadIdentity(const PemFile& certificate, const PemFile& key) {
  auto certificates_pem = ReadFile(certificate);
  if (!certificates_pem.ok()) return certificates_pem.status();
  auto key_pem = ReadFile(key);
  if (!key_pem.ok()) return key_pem.status();
  const std::vector<Certificate> certificates = ParseCertificates(*certificates_pem);
  if (certificates.empty()) return Wrong(certificate, "holds no certificate in PEM format");
  if (const std::string why = WhyNotNow(certificates.front().get()); !why.empty()) {
    return Wrong(certificate, why);
  }
  bool encrypted = false;
  const Key parsed(
      PEM_read_bio_PrivateKey(Source(*key_pem).get(), nullptr, &RefusePassphrase, &encrypted));
  const bool matches =
      parsed != nullptr && X509_check_private_key(certificates.front().get(), parsed.get()) == 1;
  ERR_clear_error();
  if (encrypted) return Wrong(key, "is protected by a passphrase, which is not supported");
  if (parsed == nullptr) return Wrong(key, "holds no private key in PEM format");
  if (!matches) return Wrong(key, absl::StrCat("is not the key of ", certificate.path));
  return Identity{*std::move(certificates_pem), *std::move(key_pem)};
}

absl::StatusOr<std::string> ReadAuthorities(const PemFile& file) {
  auto pem = ReadFile(file);
  if (!pem.ok()) return pem.status();
  const std::vector<Certificate> certificates = ParseCertificates(*pem);
  if (certificates.empty()) return Wrong(file, "holds no certificate in PEM format");
  // CA bundles contain expired certificates.
  if (std::all_of(certificates.begin(), certificates.end(),
                  [](const auto& entry) { return !WhyNotNow(entry.get()).empty(); })) {
    return Wrong(file, WhyNotNow(certificates.front().get()));
  }
  return *std::move(pem);
}

}  // namespace atelier::tls
