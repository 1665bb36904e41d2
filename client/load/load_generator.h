// Loads a server with Classify calls and measures the responses: a fixed number of callers, each of
// which waits for its response before it sends again (closed loop), or Poisson arrivals at a given
// rate, whether the server keeps up or not (open loop). In an open loop latency is measured from
// the time at which the request was due, so a server or generator that falls behind cannot hide it.
// Used by one thread; the calls end on gRPC's threads.
#ifndef ATELIER_CLIENT_LOAD_LOAD_GENERATOR_H_
#define ATELIER_CLIENT_LOAD_LOAD_GENERATOR_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "client/calls/connection.h"
#include "client/load/latency_histogram.h"
#include "grpcpp/support/status.h"

namespace atelier::client {

struct LoadOptions {
  // Requests per second in an open loop; 0 for a closed loop.
  double rate = 0;
  // Calls in flight: exactly this many in a closed loop, at most in an open one. Arrivals beyond it
  // are not sent, but counted.
  int concurrency = 64;
  absl::Duration duration = absl::Seconds(10);
  // Before the measurement; calls that start during it are not counted.
  absl::Duration warmup = absl::Seconds(2);
  // Of each request, from the time at which it is due. A request that cannot be sent by then fails
  // without a call.
  absl::Duration deadline = absl::Seconds(10);
};

// Of the requests that were due within the measured time, unless stated otherwise.
struct LoadResult {
  struct Failures {
    std::int64_t count = 0;
    std::string message;  // Of the first.
  };

  absl::Duration measured;
  std::int64_t sent = 0;
  std::int64_t answered = 0;
  // By gRPC's code.
  std::map<grpc::StatusCode, Failures> failures;
  // Arrivals for which too many calls were in flight.
  std::int64_t not_sent = 0;
  // Given up because the run was interrupted.
  std::int64_t given_up = 0;
  // Responses within the measured time, whenever their requests were sent.
  std::int64_t answered_in_time = 0;
  // Of the responses: total from the due time; queue and compute time as the server reports them;
  // and the rest.
  LatencyHistogram latency;
  LatencyHistogram queue;
  LatencyHistogram compute;
  LatencyHistogram rest;
  // Sum over the answers.
  double largest_batches = 0;
  // Responses by model version.
  std::map<std::string, std::int64_t> versions;

  double RequestsPerSecond() const;
};

struct LoadProgress {
  bool warming_up = false;
  // Of the warm-up, then of the measured time.
  double fraction = 0;
  double requests_per_second = 0;
  absl::Duration p99;
};

class LoadGenerator {
 public:
  struct Callbacks {
    // Called several times per second; true ends the run.
    std::function<bool()> interrupted = [] { return false; };
    // Called several times per second.
    std::function<void(const LoadProgress&)> progress = [](const LoadProgress&) {};
  };

  // `connections` must outlive the generator. Calls use the connections and the requests in turn;
  // at least one of each.
  LoadGenerator(std::vector<Connection*> connections, std::vector<v1::ClassifyRequest> requests,
                const LoadOptions& options)
      : connections_(std::move(connections)), requests_(std::move(requests)), options_(options) {}

  // Runs until the time is over or it is interrupted, and every call has ended.
  LoadResult Run(const Callbacks& callbacks);

 private:
  class Calls;

  const std::vector<Connection*> connections_;
  const std::vector<v1::ClassifyRequest> requests_;
  const LoadOptions options_;
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_LOAD_LOAD_GENERATOR_H_
