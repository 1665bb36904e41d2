// Loads a server with Classify calls and measures what comes back: a fixed number of callers each
// of whom waits for the answer before asking again (closed loop), or arrivals at a rate of their
// own, whether the server keeps up or not (open loop). In an open loop latency counts from the
// moment at which the request should have been sent, so a server, or a generator, that falls behind
// cannot hide it. Used by one thread; the calls end on gRPC's.
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
  // Requests a second in an open loop; 0 for a closed loop.
  double rate = 0;
  // Calls in flight: always so many in a closed loop, at most in an open one. An arrival beyond
  // that is not sent, and counted.
  int concurrency = 64;
  absl::Duration duration = absl::Seconds(10);
  // Before it; what begins then is not counted.
  absl::Duration warmup = absl::Seconds(2);
  // Of one request, from the moment at which it should be sent. One that cannot be sent before has
  // failed without a call.
  absl::Duration deadline = absl::Seconds(10);
};

// Of the requests that should have begun within the measured time, unless stated otherwise.
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
  // Answers that came within the measured time, whenever they were asked for.
  std::int64_t answered_in_time = 0;
  // Of the answers: from the intended start; as the server says; and what is left of it.
  LatencyHistogram latency;
  LatencyHistogram queue;
  LatencyHistogram compute;
  LatencyHistogram rest;
  // Sum over the answers.
  double largest_batches = 0;
  // Answers by the version that gave them.
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
    // Asked some times a second; true ends the run.
    std::function<bool()> interrupted = [] { return false; };
    // Called some times a second.
    std::function<void(const LoadProgress&)> progress = [](const LoadProgress&) {};
  };

  // `connections` must outlive it; calls take turns on them, and the requests take turns too. At
  // least one of each.
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
