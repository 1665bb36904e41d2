#include "server/worker/image_progress.h"

#include <algorithm>
#include <utility>

#include "google/protobuf/util/time_util.h"

namespace atelier::worker {
namespace {

constexpr std::chrono::milliseconds kInterval(100);

}  // namespace

void ImageProgress::Tell(std::int64_t done, std::int64_t total) {
  const Clock::time_point now = Clock::now();
  if (last_.has_value() && now - *last_ < kInterval) return;
  if (!begun_.has_value() && done > 0) {
    begun_ = now;
    first_done_ = done;
  }
  last_ = now;
  v1::WorkerEvent event;
  atelier::v1::Progress* step = event.mutable_step();
  step->set_images(done);
  step->set_total_images(total);
  // Of the images since the first, which took an unknown time.
  if (done > first_done_) {
    const double seconds = std::max(SecondsSince(*begun_), 1e-9);
    const double speed = static_cast<double>(done - first_done_) / seconds;
    step->set_images_per_second(speed);
    if (total > done) {
      *step->mutable_time_left() = google::protobuf::util::TimeUtil::MillisecondsToDuration(
          static_cast<std::int64_t>(static_cast<double>(total - done) / speed * 1000));
    }
  }
  report_(std::move(event));
}

}  // namespace atelier::worker
