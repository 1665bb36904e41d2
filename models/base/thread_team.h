// A fixed team of named threads that runs the numbered pieces of one piece of work after another:
// a step's shards, an evaluation's batches. Threads live as long as the team, so nothing is created
// in a step. One thread owns a team: it alone calls Run, and works along as its first member.
#ifndef ATELIER_MODELS_BASE_THREAD_TEAM_H_
#define ATELIER_MODELS_BASE_THREAD_TEAM_H_

#include <cstdint>
#include <exception>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace atelier::models {

class ThreadTeam {
 public:
  // A team of `threads` ≥ 1, the caller included. Every member but the caller runs `start` (may be
  // empty) once, first.
  explicit ThreadTeam(int64_t threads, std::function<void()> start = {});
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;
  ~ThreadTeam();

  // Calls piece(i) for every i in [0, count), each once, on whichever member is free, and returns
  // when all have. If any throws, the exception of the lowest i is thrown again here, after all
  // pieces that had begun have ended; others may be left out.
  void Run(int64_t count, const std::function<void(int64_t)>& piece);

  int64_t size() const { return static_cast<int64_t>(helpers_.size()) + 1; }

 private:
  void Help(const std::function<void()>& start);
  void EndHelpers() ABSL_LOCKS_EXCLUDED(mutex_);
  // Takes pieces until none is left.
  void Work() ABSL_LOCKS_EXCLUDED(mutex_);
  bool WorkOrEnd() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return ending_ || (piece_ != nullptr && next_ < count_);
  }
  bool Done() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return next_ >= count_ && running_ == 0;
  }

  absl::Mutex mutex_;
  const std::function<void(int64_t)>* piece_ ABSL_GUARDED_BY(mutex_) = nullptr;
  int64_t count_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t running_ ABSL_GUARDED_BY(mutex_) = 0;
  // The failed piece with the lowest number, and why.
  int64_t failed_ ABSL_GUARDED_BY(mutex_) = 0;
  std::exception_ptr failure_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;

  // Constant after construction.
  std::vector<std::thread> helpers_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_BASE_THREAD_TEAM_H_
