#include "server/worker/server_channel.h"

#include <utility>

#include "grpcpp/grpcpp.h"
#include "grpcpp/security/tls_credentials_options.h"

namespace atelier::worker {
namespace {

// A peer with exactly this certificate is the server, under whatever name it is dialled. The file
// is read again when it changes, as the server does.
std::shared_ptr<grpc::ChannelCredentials> Credentials(const ServerLine& server) {
  using grpc::experimental::FileWatcherCertificateProvider;
  using grpc::experimental::StaticDataCertificateProvider;
  constexpr unsigned kRefreshSeconds = 5;
  const bool text = !server.certificate_text.empty();
  if (server.certificate.empty() && !text) return grpc::InsecureChannelCredentials();
  std::shared_ptr<grpc::experimental::CertificateProviderInterface> provider;
  if (text) {
    provider = std::make_shared<StaticDataCertificateProvider>(server.certificate_text);
  } else {
    provider =
        std::make_shared<FileWatcherCertificateProvider>(server.certificate, kRefreshSeconds);
  }
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(std::move(provider));
  options.watch_root_certs();
  options.set_certificate_verifier(std::make_shared<grpc::experimental::NoOpCertificateVerifier>());
  options.set_check_call_host(false);
  return grpc::experimental::TlsCredentials(options);
}

}  // namespace

std::shared_ptr<grpc::Channel> DialServer(const ServerLine& server) {
  grpc::ChannelArguments arguments;
  // Callers have their own pause between tries; the channel's would come on top of it.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  // A proxy for the web is no way to the server.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(server.address, Credentials(server), arguments);
}

}  // namespace atelier::worker
