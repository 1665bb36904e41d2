// A real gRPC server and channel for a test, and what tests want to know of an error.
#ifndef ATELIER_TESTS_UNIT_RPC_RPC_TEST_SERVER_H_
#define ATELIER_TESTS_UNIT_RPC_RPC_TEST_SERVER_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "server/rpc/grpc_server.h"

namespace atelier::rpc {

// Services on a free port, and a channel to them.
class RpcTestServer {
 public:
  explicit RpcTestServer(const std::vector<NamedService>& services, CallMemory* memory = nullptr) {
    auto server = GrpcServer::Start({.address = "127.0.0.1:0",
                                     .credentials = grpc::InsecureServerCredentials(),
                                     .public_services = true,
                                     .memory = memory},
                                    services);
    EXPECT_TRUE(server.ok()) << server.status();
    if (!server.ok()) return;
    server_ = *std::move(server);
    channel_ = NewChannel();
  }

  GrpcServer& server() { return *server_; }
  const std::shared_ptr<grpc::Channel>& channel() { return channel_; }

  // A connection of its own.
  std::shared_ptr<grpc::Channel> NewChannel() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);  // Windows stay small.
    return grpc::CreateCustomChannel(server_->address(), grpc::InsecureChannelCredentials(),
                                     arguments);
  }

 private:
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

// What an error says in its details.
struct ErrorDetails {
  std::map<std::string, std::string> violations;  // Descriptions by field.
  std::string reason;
  std::string domain;
  bool retry = false;
};

inline ErrorDetails DetailsOf(const grpc::Status& status) {
  ErrorDetails details;
  google::rpc::Status proto;
  EXPECT_TRUE(proto.ParseFromString(status.error_details()));
  EXPECT_EQ(proto.code(), static_cast<int>(status.error_code()));
  for (const auto& any : proto.details()) {
    google::rpc::BadRequest bad;
    google::rpc::ErrorInfo info;
    google::rpc::RetryInfo retry;
    if (any.UnpackTo(&bad)) {
      for (const auto& violation : bad.field_violations()) {
        details.violations[violation.field()] = violation.description();
      }
    } else if (any.UnpackTo(&info)) {
      details.reason = info.reason();
      details.domain = info.domain();
    } else if (any.UnpackTo(&retry)) {
      details.retry = true;
    }
  }
  return details;
}

}  // namespace atelier::rpc

#endif  // ATELIER_TESTS_UNIT_RPC_RPC_TEST_SERVER_H_
