// The whole server: everything it is made of, in the order in which it starts and stops.
#ifndef ATELIER_SERVER_SERVER_H_
#define ATELIER_SERVER_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/server_options.h"

namespace atelier::server {

struct ServerParts;

// One thread uses it.
class Server {
 public:
  // Opens the data directory, takes over what an earlier server left, listens and serves. The error
  // is one sentence for the operator.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options);
  // Stops at once, as if killed: workers go on and wait for the next server.
  ~Server();

  // Where it serves, with the ports that were really taken.
  std::string address() const;
  std::string metrics_address() const;

  // Stops as announced: health says not serving, nothing new is accepted, workers write checkpoints
  // and end, within the grace; then streams end, telling clients to come back.
  void Stop();

 private:
  explicit Server(std::unique_ptr<ServerParts> parts);
  const std::unique_ptr<ServerParts> parts_;
};

}  // namespace atelier::server

#endif  // ATELIER_SERVER_SERVER_H_
