#include "server/serving/batch_queue.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace atelier::serving {
namespace {

// An answer needs some time to travel: this much, or a quarter of what the caller gave in all.
constexpr std::chrono::milliseconds kTravel(5);

}  // namespace

absl::Status BatchQueue::Add(ItemPtr item) {
  const ServedVersion* const key = item->version.get();
  auto [found, added] = queues_.try_emplace(key);
  VersionQueue& queue = found->second;
  if (queue.images >= options_.max_queued_images) {
    return absl::ResourceExhaustedError(
        absl::StrCat(queue.images, " images wait for version ", key->version.number, " of model ",
                     key->version.model, " already; try again in a moment."));
  }
  if (added) {
    queue.version = item->version;
    turns_.push_back(key);
  }
  queue.images += item->images;
  item->queued = true;
  queue.lines[item->images > options_.max_batch ? 1 : 0].push_back(std::move(item));
  return absl::OkStatus();
}

SteadyTime BatchQueue::DueOf(const VersionQueue& queue) const {
  if (queue.images >= options_.max_batch) return SteadyTime::min();
  SteadyTime first = SteadyTime::max();
  for (const auto& line : queue.lines) {
    if (!line.empty()) first = std::min(first, line.front()->arrival);
  }
  return first + absl::ToChronoNanoseconds(options_.max_delay);
}

std::optional<SteadyTime> BatchQueue::NextDue() const {
  std::optional<SteadyTime> next;
  for (const auto& [key, queue] : queues_) {
    const SteadyTime due = DueOf(queue);
    if (!next.has_value() || due < *next) next = due;
  }
  return next;
}

BatchQueue::Work BatchQueue::Take(SteadyTime now) {
  Work work;
  for (std::size_t looked = turns_.size(); looked > 0 && !work.batch.has_value(); --looked) {
    const ServedVersion* const key = turns_.front();
    turns_.pop_front();
    const auto found = queues_.find(key);
    if (DueOf(found->second) <= now) work.batch = Fill(found->second, now, work.given_up);
    if (found->second.empty()) {
      queues_.erase(found);
    } else {
      turns_.push_back(key);
    }
  }
  return work;
}

std::optional<BatchQueue::Batch> BatchQueue::Fill(VersionQueue& queue, SteadyTime now,
                                                  std::vector<ItemPtr>& given_up) {
  Batch batch;
  batch.version = queue.version;
  FillFrom(queue, now, batch, given_up);
  queue.turn = 1 - queue.turn;
  FillFrom(queue, now, batch, given_up);
  if (batch.slices.empty()) return std::nullopt;
  for (const Slice& slice : batch.slices) {
    slice.item->largest_batch = std::max(slice.item->largest_batch, batch.images);
  }
  if (batch.images == options_.max_batch) {
    batch.reason = DispatchReason::kFull;
  } else if (options_.max_delay > absl::ZeroDuration()) {
    batch.reason = DispatchReason::kDelay;
  }
  return batch;
}

void BatchQueue::FillFrom(VersionQueue& queue, SteadyTime now, Batch& batch,
                          std::vector<ItemPtr>& given_up) {
  std::deque<ItemPtr>& line = queue.lines[queue.turn];
  while (!line.empty() && batch.images < options_.max_batch) {
    const ItemPtr item = line.front();
    const std::size_t left = item->images - item->taken;
    item->status.Update(GivenUp(*item, now));
    std::size_t count = left;
    if (item->status.ok()) {
      count = std::min(left, options_.max_batch - batch.images);
      batch.slices.push_back({item, item->taken, count});
      if (!item->begin.has_value()) item->begin = now;
      item->taken += count;
      batch.images += count;
    } else if (item->computed == item->taken) {
      given_up.push_back(item);
    }  // One that is being computed in part is told when that has ended.
    queue.images -= count;
    if (count < left) return;
    item->queued = false;
    line.pop_front();
  }
}

absl::Status BatchQueue::GivenUp(const BatchItem& item, SteadyTime now) const {
  if (item.cancelled && item.cancelled()) return absl::CancelledError("The call was cancelled.");
  if (item.deadline == SteadyTime::max()) return absl::OkStatus();
  // How often engines have to compute for it: they work at the same time, but begin when each is
  // free.
  const std::size_t at_once = options_.max_batch * engines_;
  auto rounds = static_cast<int>((item.images - item.taken + at_once - 1) / at_once);
  SteadyTime::duration travel(0);
  // With what is begun already there is no time to spare, or what was computed would be lost.
  if (item.taken == 0) {
    if (engines_ > 1 && item.images > options_.max_batch) ++rounds;
    travel = std::min<SteadyTime::duration>(kTravel, (item.deadline - item.arrival) / 4);
  }
  const auto compute = rounds * item.version->last_batch.load(std::memory_order_relaxed);
  if (now + compute + travel < item.deadline) {
    return absl::OkStatus();
  }
  return absl::DeadlineExceededError("The deadline came before an engine was free.");
}

bool BatchQueue::Complete(const Slice& slice, const absl::Status& status) {
  BatchItem& item = *slice.item;
  item.computed += slice.count;
  item.status.Update(status);
  // One that failed in part is given up when its turn comes.
  return item.computed == item.taken && !item.queued;
}

std::vector<BatchQueue::ItemPtr> BatchQueue::Clear(const absl::Status& status) {
  std::vector<ItemPtr> cleared;
  for (auto& [key, queue] : queues_) {
    for (auto& line : queue.lines) {
      for (ItemPtr& item : line) {
        item->status.Update(status);
        item->queued = false;
        if (item->computed == item->taken) cleared.push_back(std::move(item));
      }
    }
  }
  queues_.clear();
  turns_.clear();
  return cleared;
}

}  // namespace atelier::serving
