// Certificates and keys in PEM files, validated before use: gRPC would not report a wrong one and
// fail every connection. Thread-safe: free functions.
#ifndef ATELIER_PROTO_TLS_PEM_FILES_H_
#define ATELIER_PROTO_TLS_PEM_FILES_H_

#include <string>

#include "absl/status/statusor.h"

namespace atelier::tls {

// A file and the option that names it, such as `--tls-ca`; errors begin with both.
struct PemFile {
  std::string option;
  std::string path;
};

// A certificate chain and its key, as PEM.
struct Identity {
  std::string certificates;  // The chain, leaf first.
  std::string key;
};

// Reads a certificate chain and its private key. INVALID_ARGUMENT with one sentence if one of them
// is missing, unreadable, not PEM of its kind or encrypted, if they do not belong together, or if
// the certificate has expired or is not valid yet.
absl::StatusOr<Identity> ReadIdentity(const PemFile& certificate, const PemFile& key);

// Reads the certificates of one or more authorities, as PEM. INVALID_ARGUMENT with one sentence if
// there is none, or none that is valid now.
absl::StatusOr<std::string> ReadAuthorities(const PemFile& file);

}  // namespace atelier::tls

#endif  // ATELIER_PROTO_TLS_PEM_FILES_H_
