#include "client/connection.h"

#include <chrono>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/display_text.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"

namespace atelier::client {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;

absl::Status CheckAddress(absl::string_view address) {
  if (absl::StartsWith(address, "unix:") && address.size() > 5) return absl::OkStatus();
  const auto colon = address.rfind(':');
  int port = 0;
  const bool valid = colon != absl::string_view::npos && colon > 0 &&
                     absl::SimpleAtoi(address.substr(colon + 1), &port) && port > 0 &&
                     port < 65536 && address.find_first_of(" \t\r\n/") == absl::string_view::npos;
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--server: '", EscapeControls(address),
                                                 "' is no address; write HOST:PORT or unix:PATH."));
}

grpc::ChannelArguments Arguments() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  // A server that vanished without a word is noticed by unanswered pings; ours allows one in ten
  // seconds.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  // Whoever waits for a restarted server wants it back soon.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  // A server is addressed directly, whatever http_proxy says about web pages.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return arguments;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Connection>> Connection::Create(absl::string_view address) {
  if (const absl::Status status = CheckAddress(address); !status.ok()) return status;
  auto channel = grpc::CreateCustomChannel(std::string(address), grpc::InsecureChannelCredentials(),
                                           Arguments());
  return std::unique_ptr<Connection>(new Connection(std::string(address), std::move(channel)));
}

Connection::Connection(std::string address, std::shared_ptr<grpc::Channel> channel)
    : address_(std::move(address)),
      channel_(std::move(channel)),
      training_(v1::TrainingService::NewStub(channel_)),
      models_(v1::ModelService::NewStub(channel_)),
      datasets_(v1::DatasetService::NewStub(channel_)),
      inference_(v1::InferenceService::NewStub(channel_)),
      health_(grpc::health::v1::Health::NewStub(channel_)) {}

absl::Status Connection::WaitUntilReady(absl::Duration timeout) {
  const auto deadline = absl::ToChronoTime(absl::Now() + timeout);
  while (true) {
    const grpc_connectivity_state state = channel_->GetState(true);
    if (state == GRPC_CHANNEL_READY) return absl::OkStatus();
    if (state == GRPC_CHANNEL_TRANSIENT_FAILURE || !channel_->WaitForStateChange(state, deadline)) {
      return NoServer(address_);
    }
  }
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
