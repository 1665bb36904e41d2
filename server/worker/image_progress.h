// Tells how many images a job has done, as step events, at most ten times a second. Not
// thread-safe.
#ifndef ATELIER_SERVER_WORKER_IMAGE_PROGRESS_H_
#define ATELIER_SERVER_WORKER_IMAGE_PROGRESS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include "atelier/worker/v1/worker_service.pb.h"

namespace atelier::worker {

// Seconds since a moment.
inline double SecondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

class ImageProgress {
 public:
  // `report` must live as long.
  explicit ImageProgress(const std::function<void(v1::WorkerEvent)>& report) : report_(report) {}

  // A `total` of 0 is not known yet.
  void Tell(std::int64_t done, std::int64_t total);

 private:
  using Clock = std::chrono::steady_clock;

  const std::function<void(v1::WorkerEvent)>& report_;
  std::optional<Clock::time_point> last_;
  // When the first images were there, and how many.
  std::optional<Clock::time_point> begun_;
  std::int64_t first_done_ = 0;
};

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_IMAGE_PROGRESS_H_
