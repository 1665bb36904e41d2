#include "client/calls/connection.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/calls/connection_error.h"
#include "client/calls/probe.h"
#include "client/calls/server_addresses.h"
#include "client/calls/token_interceptor.h"
#include "client/terminal/display_text.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"
#include "proto/tls/pem_files.h"

namespace atelier::client {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> Credentials(const TlsOptions& tls) {
  if (tls.certificate.empty() != tls.key.empty()) {
    return absl::InvalidArgumentError(
        "--tls-cert and --tls-key must be given together; one is missing.");
  }
  if (tls.authorities.empty()) {
    if (tls.certificate.empty()) return grpc::InsecureChannelCredentials();
    return absl::InvalidArgumentError(
        "--tls-cert needs --tls-ca, the CA that issued the server's certificate.");
  }
  auto authorities = tls::ReadAuthorities({"--tls-ca", tls.authorities});
  if (!authorities.ok()) return authorities.status();
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = *std::move(authorities);
  if (!tls.certificate.empty()) {
    auto identity = tls::ReadIdentity({"--tls-cert", tls.certificate}, {"--tls-key", tls.key});
    if (!identity.ok()) return identity.status();
    options.pem_cert_chain = std::move(identity->certificates);
    options.pem_private_key = std::move(identity->key);
  }
  return grpc::SslCredentials(options);
}

grpc::ChannelArguments Arguments(const ServerAddresses& addresses) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  // Unanswered pings reveal a server that vanished without closing its connections.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  // Reconnects soon after a server restarts.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  // Connects directly; http_proxy is for web pages.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  if (!addresses.balanced()) return arguments;
  arguments.SetServiceConfigJSON(BalancingConfig());
  // What is kept of a call to repeat it elsewhere: all of its images.
  arguments.SetInt(GRPC_ARG_PER_RPC_RETRY_BUFFER_SIZE, kMaxMessageBytes);
  // All certificates are to hold the first one's name: several addresses share one.
  if (addresses.all.size() > 1) {
    arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, addresses.all.front());
  }
  return arguments;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Connection>> Connection::Create(absl::string_view address,
                                                               const TlsOptions& tls,
                                                               const std::string& token_file) {
  const auto addresses = ServerAddresses::Parse(address);
  if (!addresses.ok()) return addresses.status();
  auto credentials = Credentials(tls);
  if (!credentials.ok()) return credentials.status();
  std::string token;
  if (!token_file.empty()) {
    auto read = ReadToken(token_file);
    if (!read.ok()) return read.status();
    token = *std::move(read);
    for (const std::string& one : addresses->all) {
      const absl::Status safe = CheckTokenIsSafe(one, !tls.authorities.empty());
      if (!safe.ok()) return safe;
    }
  }
  const auto target = TargetOf(*addresses);
  if (!target.ok()) return target.status();
  auto channel = grpc::experimental::CreateCustomChannelWithInterceptors(
      *target, *credentials, Arguments(*addresses), ShowToken(token));
  return std::unique_ptr<Connection>(
      new Connection(std::string(address), addresses->balanced(), tls, std::move(channel)));
}

Connection::Connection(std::string address, bool balanced, TlsOptions tls,
                       std::shared_ptr<grpc::Channel> channel)
    : address_(std::move(address)),
      balanced_(balanced),
      tls_(std::move(tls)),
      channel_(std::move(channel)),
      training_(v1::TrainingService::NewStub(channel_)),
      models_(v1::ModelService::NewStub(channel_)),
      datasets_(v1::DatasetService::NewStub(channel_)),
      inference_(v1::InferenceService::NewStub(channel_)),
      monitoring_(v1::MonitoringService::NewStub(channel_)),
      experiments_(v1::ExperimentService::NewStub(channel_)),
      admin_(v1::AdminService::NewStub(channel_)),
      health_(grpc::health::v1::Health::NewStub(channel_)) {}

absl::Status Connection::WaitUntilReady(absl::Duration timeout) {
  const auto deadline = absl::ToChronoTime(absl::Now() + timeout);
  while (true) {
    const grpc_connectivity_state state = channel_->GetState(true);
    if (state == GRPC_CHANNEL_READY) return absl::OkStatus();
    if (state == GRPC_CHANNEL_TRANSIENT_FAILURE) return WhyNot();
    if (!channel_->WaitForStateChange(state, deadline)) return Explain("it timed out");
  }
}

absl::Status Connection::WhyNot() {
  // Only a call's status says why the connection failed; this call fails at once.
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(1)));
  grpc::health::v1::HealthCheckResponse response;
  const grpc::Status status = health_->Check(&context, {}, &response);
  if (status.ok()) return absl::OkStatus();
  return Explain(status.error_message());
}

absl::Status Connection::Explain(absl::string_view why) const {
  if (balanced_) {
    return absl::UnavailableError(absl::StrCat("None of the servers at ", EscapeControls(address_),
                                               " can be used: ", EscapeControls(why), "."));
  }
  const ProbeFiles files = {tls_.authorities, tls_.certificate, tls_.key};
  return NotConnected(why, address_, files, ProbeServer(address_, files));
}

void Connection::PrepareContext(grpc::ClientContext* context, const CallOptions& options,
                                int repeats) {
  if (repeats > 0) {
    absl::SleepFor(absl::Milliseconds(300) * repeats);
    context->set_wait_for_ready(true);
  }
  context->set_deadline(absl::ToChronoTime(absl::Now() + options.timeout));
}

}  // namespace atelier::client
