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
  queue.items.push_back(std::move(item));
  return absl::OkStatus();
}

SteadyTime BatchQueue::DueOf(const VersionQueue& queue) const {
  if (queue.images >= options_.max_batch) return SteadyTime::min();
  return queue.items.front()->arrival + absl::ToChronoNanoseconds(options_.max_delay);
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
    if (found->second.items.empty()) {
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
  // An item with images left goes behind the others; each is looked at once.
  for (std::size_t left = queue.items.size(); left > 0 && batch.images < options_.max_batch;
       --left) {
    ItemPtr item = std::move(queue.items.front());
    queue.items.pop_front();
    item->queued = false;
    item->status.Update(GivenUp(*item, now));
    if (!item->status.ok()) {
      queue.images -= item->images - item->taken;
      // One that is being computed in part is told when that has ended.
      if (item->computed == item->taken) given_up.push_back(std::move(item));
      continue;
    }
    const std::size_t count =
        std::min(item->images - item->taken, options_.max_batch - batch.images);
    batch.slices.push_back({item, item->taken, count});
    if (!item->begin.has_value()) item->begin = now;
    item->taken += count;
    batch.images += count;
    queue.images -= count;
    if (item->taken == item->images) continue;
    item->queued = true;
    queue.items.push_back(std::move(item));
  }
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

absl::Status BatchQueue::GivenUp(const BatchItem& item, SteadyTime now) {
  if (item.cancelled && item.cancelled()) return absl::CancelledError("The call was cancelled.");
  if (item.deadline == SteadyTime::max()) return absl::OkStatus();
  const SteadyTime::duration travel =
      std::min<SteadyTime::duration>(kTravel, (item.deadline - item.arrival) / 4);
  if (now + item.version->last_batch.load(std::memory_order_relaxed) + travel < item.deadline) {
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
    for (ItemPtr& item : queue.items) {
      item->status.Update(status);
      item->queued = false;
      if (item->computed == item->taken) cleared.push_back(std::move(item));
    }
  }
  queues_.clear();
  turns_.clear();
  return cleared;
}

}  // namespace atelier::serving
