// The worker's channel to its server. Thread-safe: a free function.
#ifndef ATELIER_SERVER_WORKER_SERVER_CHANNEL_H_
#define ATELIER_SERVER_WORKER_SERVER_CHANNEL_H_

#include <memory>
#include <string>

#include "grpcpp/channel.h"

namespace atelier::worker {

// How a worker reaches its server, as its flags say.
struct ServerLine {
  std::string address;  // `unix:/absolute/path` or `host:port`.
  // The file with the server's certificate; empty for a server without TLS.
  std::string certificate = {};
  // The certificate itself, where there is no such file.
  std::string certificate_text = {};
};

// Dials when it is first used, and anew when it has to.
std::shared_ptr<grpc::Channel> DialServer(const ServerLine& server);

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_SERVER_CHANNEL_H_
