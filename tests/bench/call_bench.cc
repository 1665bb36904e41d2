// What a bare gRPC call costs on this machine: health checks of a running server, one after the
// other or many at once. What Classify takes with one request in flight is compared with the one,
// what it reaches with many, on as many connections, with the other. With --bytes they ask for a
// service of so long a name, which is refused: what a server pays for a request that it cannot
// serve.
#include <algorithm>
#include <cstdio>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/grpcpp.h"

ABSL_FLAG(std::string, server, "127.0.0.1:50051", "Address of the server.");
ABSL_FLAG(double, seconds, 2, "How long to call.");
ABSL_FLAG(int, concurrency, 1, "Calls in flight.");
ABSL_FLAG(int, connections, 1, "Connections on which the callers take turns.");
ABSL_FLAG(int, bytes, 0, "Bytes that a request carries.");
ABSL_FLAG(double, rate, 0, "Calls a second, one after the other; 0: as many as there can be.");
ABSL_FLAG(bool, json, false, "Print one JSON object.");

namespace atelier {
namespace {

using Health = grpc::health::v1::Health;

grpc::health::v1::HealthCheckRequest Request() {
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(std::string(static_cast<std::size_t>(absl::GetFlag(FLAGS_bytes)), 'x'));
  return request;
}

// Names beyond some length are refused as such.
bool IsAnswer(const grpc::Status& status) {
  return status.ok() || status.error_code() == grpc::StatusCode::INVALID_ARGUMENT ||
         status.error_code() == grpc::StatusCode::NOT_FOUND;
}

// One of the callers that each wait for their answer and call again, until `end`.
class Caller {
 public:
  Caller(Health::Stub* stub, absl::Time end, absl::BlockingCounter* running)
      : stub_(stub), end_(end), running_(running) {}

  void Call() {
    context_.emplace();
    begin_ = absl::Now();
    stub_->async()->Check(&*context_, &request_, &response_, [this](grpc::Status status) {
      const absl::Time now = absl::Now();
      microseconds_.push_back(absl::ToDoubleMicroseconds(now - begin_));
      if (!IsAnswer(status)) status_ = std::move(status);
      if (status_.ok() && now < end_) return Call();
      running_->DecrementCount();
    });
  }
  const grpc::Status& status() const { return status_; }
  const std::vector<double>& microseconds() const { return microseconds_; }

 private:
  Health::Stub* const stub_;
  const absl::Time end_;
  absl::BlockingCounter* const running_;
  std::optional<grpc::ClientContext> context_;
  const grpc::health::v1::HealthCheckRequest request_ = Request();
  grpc::health::v1::HealthCheckResponse response_;
  absl::Time begin_;
  grpc::Status status_;
  std::vector<double> microseconds_;
};

using Stubs = std::vector<std::unique_ptr<Health::Stub>>;

// One for each connection.
Stubs Connect(const std::string& address, int connections) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  Stubs stubs;
  for (int i = 0; i < connections; ++i) {
    stubs.push_back(Health::NewStub(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments)));
  }
  return stubs;
}

// How long each call took; an error ends the measurement.
absl::StatusOr<std::vector<double>> CallAtOnce(const Stubs& stubs, int concurrency,
                                               absl::Time end) {
  absl::BlockingCounter running(concurrency);
  std::deque<Caller> callers;
  for (int i = 0; i < concurrency; ++i) {
    const auto turn = static_cast<std::size_t>(i) % stubs.size();
    callers.emplace_back(stubs[turn].get(), end, &running).Call();
  }
  running.Wait();
  std::vector<double> microseconds;
  for (const Caller& caller : callers) {
    if (!caller.status().ok()) return absl::UnavailableError(caller.status().error_message());
    microseconds.insert(microseconds.end(), caller.microseconds().begin(),
                        caller.microseconds().end());
  }
  return microseconds;
}

absl::StatusOr<std::vector<double>> CallInTurn(Health::Stub* stub, absl::Time end) {
  const auto request = Request();
  const double rate = absl::GetFlag(FLAGS_rate);
  std::vector<double> microseconds;
  absl::Time begin = absl::Now();
  do {
    grpc::ClientContext context;
    grpc::health::v1::HealthCheckResponse response;
    const grpc::Status status = stub->Check(&context, request, &response);
    if (!IsAnswer(status)) return absl::UnavailableError(status.error_message());
    const absl::Time now = absl::Now();
    microseconds.push_back(absl::ToDoubleMicroseconds(now - begin));
    begin = rate > 0 ? std::max(now, begin + absl::Seconds(1 / rate)) : now;
    absl::SleepFor(begin - now);
  } while (absl::Now() < end);
  return microseconds;
}

int Main() {
  const std::string address = absl::GetFlag(FLAGS_server);
  const Stubs stubs = Connect(address, absl::GetFlag(FLAGS_connections));
  const double seconds = absl::GetFlag(FLAGS_seconds);
  const int concurrency = absl::GetFlag(FLAGS_concurrency);
  const absl::Time end = absl::Now() + absl::Seconds(seconds);
  auto measured =
      concurrency == 1 ? CallInTurn(stubs[0].get(), end) : CallAtOnce(stubs, concurrency, end);
  if (!measured.ok()) {
    std::fprintf(stderr, "call_bench: %s: %s\n", address.c_str(),
                 std::string(measured.status().message()).c_str());
    return 1;
  }
  std::vector<double>& microseconds = *measured;
  std::sort(microseconds.begin(), microseconds.end());
  const nlohmann::ordered_json result = {
      {"calls", microseconds.size()},
      {"calls_per_second", static_cast<double>(microseconds.size()) / seconds},
      {"p50_us", microseconds[microseconds.size() / 2]},
      {"p99_us", microseconds[microseconds.size() * 99 / 100]}};
  if (absl::GetFlag(FLAGS_json)) {
    std::printf("%s\n", result.dump().c_str());
  } else {
    std::printf("%zu calls, %.0f a second, p50 %.0f µs, p99 %.0f µs\n", microseconds.size(),
                result["calls_per_second"].get<double>(), result["p50_us"].get<double>(),
                result["p99_us"].get<double>());
  }
  return 0;
}

}  // namespace
}  // namespace atelier

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("measures bare calls of a running server: --server=HOST:PORT");
  absl::ParseCommandLine(argc, argv);
  if (absl::GetFlag(FLAGS_seconds) <= 0 || absl::GetFlag(FLAGS_concurrency) < 1 ||
      absl::GetFlag(FLAGS_connections) < 1 || absl::GetFlag(FLAGS_bytes) < 0 ||
      absl::GetFlag(FLAGS_rate) < 0) {
    std::fprintf(stderr,
                 "call_bench: --seconds must be above 0, --concurrency and --connections at least "
                 "1, --bytes and --rate not negative\n");
    return 1;
  }
  return atelier::Main();
}
