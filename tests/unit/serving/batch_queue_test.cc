#include "server/serving/batch_queue.h"

#include <array>
#include <optional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/serving/fakes.h"

namespace atelier::serving {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;

// Moments of a clock that stands still unless a test says otherwise.
SteadyTime At(int ms) { return SteadyTime(milliseconds(1000 + ms)); }

class BatchQueueTest : public testing::Test {
 protected:
  static std::shared_ptr<ServedVersion> MakeVersion(const std::string& model) {
    return std::make_shared<ServedVersion>(Version{model, 1, "", ""},
                                           std::make_shared<FakeEngine>(),
                                           std::make_shared<VersionObserver>());
  }

  BatchQueue::ItemPtr Make(std::size_t images, SteadyTime arrival = At(0)) {
    auto item = std::make_shared<BatchItem>();
    item->version = net_;
    item->images = images;
    item->arrival = arrival;
    return item;
  }

  BatchQueue::ItemPtr Add(std::size_t images, SteadyTime arrival = At(0)) {
    auto item = Make(images, arrival);
    EXPECT_TRUE(queue_.Add(item).ok());
    return item;
  }

  // Images of the next batch by the item they are of, in the batch's order.
  static std::vector<std::size_t> Counts(const BatchQueue::Work& work) {
    std::vector<std::size_t> counts;
    for (const auto& slice : work.batch->slices) counts.push_back(slice.count);
    return counts;
  }

  const std::shared_ptr<ServedVersion> net_ = MakeVersion("net");
  const std::shared_ptr<ServedVersion> other_ = MakeVersion("other");
  BatchQueue queue_{{.max_batch = 8, .max_queued_images = 20}};
};

TEST_F(BatchQueueTest, HasNothingWhenEmpty) {
  EXPECT_FALSE(queue_.Take(At(0)).batch.has_value());
  EXPECT_FALSE(queue_.NextDue().has_value());
}

TEST_F(BatchQueueTest, TakesWhatIsThereAtOnce) {
  Add(1);
  Add(2);
  const auto work = queue_.Take(At(0));
  ASSERT_TRUE(work.batch.has_value());
  EXPECT_THAT(Counts(work), ElementsAre(1, 2));
  EXPECT_EQ(work.batch->images, 3);
  EXPECT_EQ(work.batch->reason, DispatchReason::kIdle);
  EXPECT_FALSE(queue_.Take(At(0)).batch.has_value());
}

TEST_F(BatchQueueTest, SplitsARequestThatIsLargerThanABatchAndTellsItsEndOnce) {
  const auto item = Add(18);
  std::vector<std::size_t> firsts;
  int ends = 0;
  for (int i = 0; i < 3; ++i) {
    const auto work = queue_.Take(At(0));
    ASSERT_TRUE(work.batch.has_value());
    ASSERT_EQ(work.batch->slices.size(), 1);
    firsts.push_back(work.batch->slices[0].first);
    ends += queue_.Complete(work.batch->slices[0], absl::OkStatus()) ? 1 : 0;
  }
  EXPECT_THAT(firsts, ElementsAre(0, 8, 16));
  EXPECT_EQ(ends, 1);
  EXPECT_EQ(item->largest_batch, 8);
  EXPECT_FALSE(queue_.Take(At(0)).batch.has_value());
}

TEST_F(BatchQueueTest, ARequestWithManyImagesLetsSmallOnesBetween) {
  const auto large = Add(18);
  EXPECT_THAT(Counts(queue_.Take(At(0))), ElementsAre(8));
  const auto small = Add(1);
  const auto next = Add(8);
  const auto second = queue_.Take(At(0));
  EXPECT_THAT(Counts(second), ElementsAre(8));
  EXPECT_EQ(second.batch->slices[0].item, large) << "it is the large ones' turn";
  const auto third = queue_.Take(At(0));
  EXPECT_THAT(Counts(third), ElementsAre(1, 7));
  EXPECT_EQ(third.batch->slices[0].item, small);
  EXPECT_EQ(third.batch->reason, DispatchReason::kFull);
  const auto last = queue_.Take(At(0));
  EXPECT_THAT(Counts(last), ElementsAre(2, 1));
  EXPECT_EQ(last.batch->slices[0].item, large);
  EXPECT_EQ(last.batch->slices[1].item, next);
}

// Under overload all would be late if all advanced together.
TEST_F(BatchQueueTest, RequestsWithManyImagesAreComputedOneAfterTheOther) {
  const auto first = Add(10);
  const auto second = Add(10);
  const auto batch = queue_.Take(At(0));
  EXPECT_THAT(Counts(batch), ElementsAre(8));
  const auto rest = queue_.Take(At(0));
  EXPECT_THAT(Counts(rest), ElementsAre(2, 6));
  EXPECT_EQ(rest.batch->slices[0].item, first);
  EXPECT_EQ(rest.batch->slices[1].item, second);
}

TEST_F(BatchQueueTest, GivesUpWhatAllItsBatchesWouldMakeLate) {
  net_->last_batch = milliseconds(10);
  struct Case {
    std::size_t engines;
    std::size_t images;
    int deadline;
    bool in_time;
  };
  // 5 ms for the way back; of two engines one may be busy with other batches first.
  for (const auto& [engines, images, deadline, in_time] :
       {Case{1, 17, 35, false}, Case{1, 17, 36, true}, Case{2, 17, 35, false},
        Case{2, 17, 36, true}, Case{1, 33, 50, false}, Case{2, 33, 50, true}}) {
    BatchQueue queue({.max_batch = 8}, engines);
    const auto item = Make(images);
    item->deadline = At(deadline);
    ASSERT_TRUE(queue.Add(item).ok());
    EXPECT_EQ(queue.Take(At(0)).batch.has_value(), in_time)
        << engines << " engines, " << images << " images, " << deadline << " ms";
  }
}

// Two engines that take 3 ms for 32 images, requests at four times what they can do, 50 ms each.
TEST_F(BatchQueueTest, AnswersInTimeUnderOverloadNearlyWhatItCould) {
  using std::chrono::microseconds;
  constexpr microseconds kBatch(3000), kSecond(1'000'000);
  net_->last_batch = kBatch;
  for (const std::size_t images : {1, 20, 32, 64, 100, 256}) {
    BatchQueue queue({.max_batch = 32}, /*engines=*/2);
    const auto between = kBatch * static_cast<int>(images) / (4 * 64);
    std::size_t answered = 0;
    std::array<std::optional<BatchQueue::Batch>, 2> engines;
    std::array<SteadyTime, 2> free = {At(0), At(0) + kBatch / 2};
    SteadyTime arrival = At(0);
    for (SteadyTime now = At(0); now < At(0) + kSecond; now += microseconds(50)) {
      for (; arrival <= now; arrival += between) {
        const auto item = Make(images, arrival);
        item->deadline = arrival + milliseconds(50);
        queue.Add(item).IgnoreError();
      }
      for (std::size_t i = 0; i < engines.size(); ++i) {
        if (free[i] > now) continue;
        if (engines[i].has_value()) {
          for (const auto& slice : engines[i]->slices) {
            const bool ended = queue.Complete(slice, absl::OkStatus());
            if (ended && slice.item->status.ok() && now < slice.item->deadline) answered += images;
          }
        }
        engines[i] = queue.Take(now).batch;
        if (engines[i].has_value()) free[i] = now + kBatch;
      }
    }
    EXPECT_GT(answered, 0.9 * 64 * (kSecond / kBatch)) << "with " << images << " images a request";
  }
}

TEST_F(BatchQueueTest, EndsInTimeWhatItBegan) {
  net_->last_batch = milliseconds(10);
  const auto item = Make(16);
  item->deadline = At(40);
  ASSERT_TRUE(queue_.Add(item).ok());
  EXPECT_TRUE(queue_.Take(At(0)).batch.has_value());
  EXPECT_TRUE(queue_.Take(At(29)).batch.has_value());
}

TEST_F(BatchQueueTest, RefusesMoreThanItsVersionsQueueTakes) {
  for (int i = 0; i < 20; ++i) Add(1);
  const absl::Status full = queue_.Add(Make(1));
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  auto elsewhere = Make(1);
  elsewhere->version = other_;
  EXPECT_TRUE(queue_.Add(elsewhere).ok()) << "every version has a queue of its own";
  queue_.Take(At(0));
  EXPECT_TRUE(queue_.Add(Make(1)).ok());
}

TEST_F(BatchQueueTest, VersionsTakeTurnsHoweverMuchOneOfThemHas) {
  for (int i = 0; i < 20; ++i) Add(1);
  auto elsewhere = Make(1);
  elsewhere->version = other_;
  ASSERT_TRUE(queue_.Add(elsewhere).ok());
  EXPECT_EQ(queue_.Take(At(0)).batch->version, net_);
  EXPECT_EQ(queue_.Take(At(0)).batch->version, other_);
  EXPECT_EQ(queue_.Take(At(0)).batch->version, net_);
}

TEST_F(BatchQueueTest, NeverMixesVersionsInABatch) {
  Add(1);
  auto elsewhere = Make(1);
  elsewhere->version = other_;
  ASSERT_TRUE(queue_.Add(elsewhere).ok());
  EXPECT_EQ(queue_.Take(At(0)).batch->images, 1);
  EXPECT_EQ(queue_.Take(At(0)).batch->images, 1);
}

TEST_F(BatchQueueTest, GivesUpWhatWasCancelledAndComputesTheRest) {
  const auto cancelled = Make(3);
  cancelled->cancelled = [] { return true; };
  ASSERT_TRUE(queue_.Add(cancelled).ok());
  Add(2);
  const auto work = queue_.Take(At(0));
  EXPECT_THAT(work.given_up, ElementsAre(cancelled));
  EXPECT_EQ(cancelled->status.code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(Counts(work), ElementsAre(2));
}

TEST_F(BatchQueueTest, GivesUpWhatCannotBeAnsweredInTime) {
  net_->last_batch = milliseconds(10);
  const auto late = Make(1), in_time = Make(1);
  late->deadline = At(40);
  in_time->deadline = At(60);
  ASSERT_TRUE(queue_.Add(late).ok());
  ASSERT_TRUE(queue_.Add(in_time).ok());
  const auto work = queue_.Take(At(30));
  EXPECT_THAT(work.given_up, ElementsAre(late));
  EXPECT_EQ(late->status.code(), absl::StatusCode::kDeadlineExceeded);
  ASSERT_EQ(work.batch->slices.size(), 1);
  EXPECT_EQ(work.batch->slices[0].item, in_time);
}

TEST_F(BatchQueueTest, OnlyWhatWasGivenUpLeavesNoBatch) {
  const auto late = Make(1);
  late->deadline = At(0);
  ASSERT_TRUE(queue_.Add(late).ok());
  const auto work = queue_.Take(At(1));
  EXPECT_FALSE(work.batch.has_value());
  EXPECT_EQ(work.given_up.size(), 1);
  EXPECT_FALSE(queue_.NextDue().has_value());
}

TEST_F(BatchQueueTest, ACancelledRequestIsToldWhenWhatRunsOfItHasEnded) {
  bool cancelled = false;
  const auto item = Make(18);
  item->cancelled = [&] { return cancelled; };
  ASSERT_TRUE(queue_.Add(item).ok());
  const auto first = queue_.Take(At(0));
  cancelled = true;
  const auto second = queue_.Take(At(0));
  EXPECT_FALSE(second.batch.has_value());
  EXPECT_TRUE(second.given_up.empty()) << "its first batch is not done yet";
  EXPECT_TRUE(queue_.Complete(first.batch->slices[0], absl::OkStatus()));
  EXPECT_EQ(item->status.code(), absl::StatusCode::kCancelled);
}

TEST_F(BatchQueueTest, ARequestThatFailedInPartIsNotComputedFurther) {
  const auto item = Add(18);
  const auto first = queue_.Take(At(0));
  EXPECT_FALSE(queue_.Complete(first.batch->slices[0], absl::InternalError("broken")));
  const auto second = queue_.Take(At(0));
  EXPECT_FALSE(second.batch.has_value());
  EXPECT_THAT(second.given_up, ElementsAre(item));
  EXPECT_EQ(item->status.message(), "broken");
}

TEST_F(BatchQueueTest, WaitsForMoreNoLongerThanTheDelay) {
  BatchQueue patient({.max_batch = 4, .max_delay = absl::Milliseconds(5)});
  ASSERT_TRUE(patient.Add(Make(1, At(0))).ok());
  EXPECT_FALSE(patient.Take(At(4)).batch.has_value());
  EXPECT_EQ(patient.NextDue(), At(5));
  ASSERT_TRUE(patient.Add(Make(1, At(4))).ok());
  const auto due = patient.Take(At(5));
  EXPECT_THAT(Counts(due), ElementsAre(1, 1));
  EXPECT_EQ(due.batch->reason, DispatchReason::kDelay);
  ASSERT_TRUE(patient.Add(Make(4, At(6))).ok());
  const auto full = patient.Take(At(6));
  ASSERT_TRUE(full.batch.has_value()) << "a full batch waits for nothing";
  EXPECT_EQ(full.batch->reason, DispatchReason::kFull);
}

TEST_F(BatchQueueTest, ClearHandsBackEverythingThatWaits) {
  const auto one = Add(1), two = Add(2);
  const auto cleared = queue_.Clear(absl::UnavailableError("end"));
  EXPECT_THAT(cleared, ElementsAre(one, two));
  EXPECT_EQ(one->status.message(), "end");
  EXPECT_FALSE(queue_.NextDue().has_value());
}

}  // namespace
}  // namespace atelier::serving
