#include "client/load/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace atelier::client {
namespace {

// Up to 2^8 ns every nanosecond has a bucket; every further power of two is cut into 2^7.
constexpr int kBits = 7;
constexpr std::uint64_t kSteps = std::uint64_t{1} << kBits;
constexpr std::int64_t kMost = std::int64_t{2} * 3600 * 1'000'000'000;

std::size_t BucketOf(std::int64_t nanoseconds) {
  const auto value = static_cast<std::uint64_t>(nanoseconds);
  const int shift = std::max(0, static_cast<int>(std::bit_width(value)) - kBits - 1);
  return static_cast<std::size_t>(static_cast<std::uint64_t>(shift) * kSteps + (value >> shift));
}

// The largest duration that belongs to the bucket.
std::int64_t UpperEdge(std::size_t bucket) {
  const std::uint64_t shift = bucket < 2 * kSteps ? 0 : bucket / kSteps - 1;
  return static_cast<std::int64_t>(((bucket - shift * kSteps + 1) << shift) - 1);
}

}  // namespace

LatencyHistogram::LatencyHistogram() : buckets_(BucketOf(kMost) + 1) {}

void LatencyHistogram::Record(absl::Duration duration) {
  const std::int64_t value = std::clamp(absl::ToInt64Nanoseconds(duration), std::int64_t{0}, kMost);
  ++buckets_[BucketOf(value)];
  ++count_;
  max_ = std::max(max_, value);
  sum_ += static_cast<double>(value);
}

absl::Duration LatencyHistogram::Percentile(double percent) const {
  const auto rank = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::ceil(percent / 100 * static_cast<double>(count_))));
  std::int64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank) return absl::Nanoseconds(std::min(UpperEdge(i), max_));
  }
  return absl::ZeroDuration();
}

absl::Duration LatencyHistogram::mean() const {
  return count_ == 0 ? absl::ZeroDuration() : absl::Nanoseconds(sum_ / static_cast<double>(count_));
}

}  // namespace atelier::client
