#include "server/server.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/rpc/status.h"
#include "server/server_parts.h"
#include "spdlog/spdlog.h"

namespace atelier::server {
namespace {

// What calls get to end by themselves once the server stops.
constexpr absl::Duration kCallPatience = absl::Seconds(2);
// What a worker's end takes, and what it takes to be noticed and stored.
constexpr absl::Duration kExitPatience = absl::Seconds(5);

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options) {
  auto parts = std::make_unique<ServerParts>();
  parts->options = options;
  const absl::Status status = options.IsReplica() ? parts->StartReplica() : parts->Start();
  if (!status.ok()) return status;
  return std::unique_ptr<Server>(new Server(std::move(parts)));
}

Server::Server(std::unique_ptr<ServerParts> parts) : parts_(std::move(parts)) {}

Server::~Server() = default;

std::string Server::address() const { return parts_->public_server->address(); }

std::string Server::metrics_address() const {
  return absl::StrCat(parts_->options.metrics_listen.host, ":", parts_->metrics->port());
}

void Server::Stop() {
  if (parts_->options.IsReplica()) {
    parts_->place->Stop();
    parts_->registry_driver.reset();  // It tells the health service as well.
    parts_->public_server->SetServing(false);
    parts_->streams->EndAll(rpc::ServerStopping());
    parts_->public_server->Shutdown(kCallPatience);
    return;
  }
  parts_->public_server->SetServing(false);
  parts_->controller->BeginShutdown();
  if (!parts_->controller->AwaitSuspended(parts_->options.shutdown_grace)) {
    spdlog::warn("Workers that wrote no checkpoint within the grace of {} are killed.",
                 absl::FormatDuration(parts_->options.shutdown_grace));
    parts_->controller->KillRemaining();
    parts_->controller->AwaitSuspended(kExitPatience);
  }
  parts_->artifacts->Stop();
  parts_->catalog->Stop();
  parts_->poster->Stop();
  parts_->streams->EndAll(rpc::ServerStopping());
  parts_->public_server->Shutdown(kCallPatience);
  parts_->controller->AwaitProcessesGone(kExitPatience);
  parts_->attempt_files->Stop();
  parts_->worker_server->Shutdown(kCallPatience);
}

}  // namespace atelier::server
