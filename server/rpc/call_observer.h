// What a gRPC server reports of its calls: the seam between it and its metrics.
#ifndef ATELIER_SERVER_RPC_CALL_OBSERVER_H_
#define ATELIER_SERVER_RPC_CALL_OBSERVER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace atelier::rpc {

enum class CallType { kUnary, kClientStream, kServerStream, kBidiStream };

// One method of one service. Thread-safe; never waits.
class MethodObserver {
 public:
  virtual ~MethodObserver() = default;
  // Exactly one Ended follows, with the status the call ended with and the time it took.
  virtual void Begun() = 0;
  virtual void Ended(absl::StatusCode code, absl::Duration duration) = 0;
};

class CallObserver {
 public:
  virtual ~CallObserver() = default;
  // Asked once for each method that a server has, before it serves: calls of methods that there are
  // not are told to nobody. The answer lives as long as the observer, which must outlive the
  // server.
  virtual MethodObserver* Observe(const std::string& service, const std::string& method,
                                  CallType type) = 0;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_CALL_OBSERVER_H_
