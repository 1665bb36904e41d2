// A thread that calls a function when it is due or when something happened.
#ifndef ATELIER_SERVER_BASE_TICK_THREAD_H_
#define ATELIER_SERVER_BASE_TICK_THREAD_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/time/time.h"

namespace atelier {

// Runs from construction to destruction. Thread-safe.
class TickThread {
 public:
  struct Options {
    std::string name;  // The thread's, at most 15 characters.
    // Pause between two calls, however much happens.
    absl::Duration pause = absl::ZeroDuration();
  };

  // `tick` is called at once, then whenever it was kicked or what it answered with, how long until
  // it has to be called again, is over.
  TickThread(Options options, std::function<absl::Duration()> tick);
  ~TickThread();
  TickThread(const TickThread&) = delete;
  TickThread& operator=(const TickThread&) = delete;

  // What asks for a call of `tick`. Never waits; any thread may call it, also after the end of the
  // TickThread, when it does nothing.
  std::function<void()> kick() const;

 private:
  struct Signal;

  static void Run(const Options& options, const std::function<absl::Duration()>& tick,
                  Signal* signal);

  // Shared with the kicks.
  const std::shared_ptr<Signal> signal_;
  std::thread thread_;
};

}  // namespace atelier

#endif  // ATELIER_SERVER_BASE_TICK_THREAD_H_
