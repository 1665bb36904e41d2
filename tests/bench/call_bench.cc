// What a bare gRPC call costs on this machine: health checks of a running server, one after the
// other, on one connection. What Classify takes with one request in flight is compared with it.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/grpcpp.h"

ABSL_FLAG(std::string, server, "127.0.0.1:50051", "Address of the server.");
ABSL_FLAG(double, seconds, 2, "How long to call.");
ABSL_FLAG(bool, json, false, "Print one JSON object.");

namespace atelier {
namespace {

using Health = grpc::health::v1::Health;

int Main() {
  const std::string address = absl::GetFlag(FLAGS_server);
  const auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  const auto stub = Health::NewStub(channel);
  std::vector<double> microseconds;
  const absl::Time end = absl::Now() + absl::Seconds(absl::GetFlag(FLAGS_seconds));
  while (absl::Now() < end) {
    grpc::ClientContext context;
    grpc::health::v1::HealthCheckResponse response;
    const absl::Time begin = absl::Now();
    const grpc::Status status = stub->Check(&context, {}, &response);
    if (!status.ok()) {
      std::fprintf(stderr, "call_bench: %s: %s\n", address.c_str(), status.error_message().c_str());
      return 1;
    }
    microseconds.push_back(absl::ToDoubleMicroseconds(absl::Now() - begin));
  }
  std::sort(microseconds.begin(), microseconds.end());
  const nlohmann::ordered_json result = {{"calls", microseconds.size()},
                                         {"p50_us", microseconds[microseconds.size() / 2]},
                                         {"p99_us", microseconds[microseconds.size() * 99 / 100]}};
  if (absl::GetFlag(FLAGS_json)) {
    std::printf("%s\n", result.dump().c_str());
  } else {
    std::printf("%zu calls, p50 %.0f µs, p99 %.0f µs\n", microseconds.size(),
                result["p50_us"].get<double>(), result["p99_us"].get<double>());
  }
  return 0;
}

}  // namespace
}  // namespace atelier

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("measures bare calls of a running server: --server=HOST:PORT");
  absl::ParseCommandLine(argc, argv);
  if (absl::GetFlag(FLAGS_seconds) <= 0) {
    std::fprintf(stderr, "call_bench: --seconds must be above 0\n");
    return 1;
  }
  return atelier::Main();
}
