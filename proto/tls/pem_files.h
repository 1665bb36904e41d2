// Certificates and keys in PEM files, judged before anything relies on them: gRPC would say nothing
// about a wrong one, and fail every connection. Thread-safe: free functions.
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

// What a program shows to its peer, as PEM.
struct Identity {
  std::string certificates;  // Its own first, then those between it and an authority.
  std::string key;
};

// Reads a certificate chain and its private key. INVALID_ARGUMENT with one sentence if one of them
// is missing, unreadable, no PEM of its kind or encrypted, if they do not belong together, or if
// the certificate has expired or is not valid yet.
absl::StatusOr<Identity> ReadIdentity(const PemFile& certificate, const PemFile& key);

// Reads the certificates of one or more authorities, as PEM. INVALID_ARGUMENT with one sentence if
// there is none, or none that is valid now.
absl::StatusOr<std::string> ReadAuthorities(const PemFile& file);

}  // namespace atelier::tls

#endif  // ATELIER_PROTO_TLS_PEM_FILES_H_
