#include "server/credentials.h"

#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_credentials_options.h"

namespace atelier::server {
namespace {

// How often the files are looked at for new certificates.
constexpr unsigned kRefreshSeconds = 5;

// `client_authorities` may be empty: then clients are not asked who they are.
std::shared_ptr<grpc::ServerCredentials> Tls(const TlsFiles& files,
                                             const std::string& client_authorities) {
  using grpc::experimental::FileWatcherCertificateProvider;
  grpc::experimental::TlsServerCredentialsOptions options(
      std::make_shared<FileWatcherCertificateProvider>(files.key, files.certificate,
                                                       client_authorities, kRefreshSeconds));
  options.watch_identity_key_cert_pairs();
  if (!client_authorities.empty()) {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(options);
}

}  // namespace

std::shared_ptr<grpc::ServerCredentials> ClientCredentials(const ServerOptions& options) {
  if (!options.tls) return grpc::InsecureServerCredentials();
  return Tls(*options.tls, options.tls->client_authorities);
}

std::shared_ptr<grpc::ServerCredentials> WorkerCredentials(const ServerOptions& options) {
  if (!options.WorkersUseTls()) return grpc::InsecureServerCredentials();
  return Tls(*options.tls, /*client_authorities=*/"");
}

}  // namespace atelier::server
