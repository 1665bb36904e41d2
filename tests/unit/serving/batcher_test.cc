#include "server/serving/batcher.h"

#include <chrono>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/serving/fakes.h"
#include "tests/unit/wait.h"

namespace atelier::serving {
namespace {

class CountingObserver final : public VersionObserver {
 public:
  void QueueChanged(std::int64_t images) override { queued += images; }
  void Computed(std::int64_t images, DispatchReason) override {
    ++batches;
    computed += images;
  }

  std::atomic<std::int64_t> queued = 0;
  std::atomic<std::int64_t> batches = 0;
  std::atomic<std::int64_t> computed = 0;
};

class BatcherTest : public testing::Test {
 protected:
  struct Asked {
    std::shared_ptr<BatchItem> item;
    Later<absl::Status> answer;
  };

  Asked Ask(Batcher* batcher, std::size_t images) {
    Asked asked;
    asked.item = std::make_shared<BatchItem>();
    asked.item->version = version_;
    asked.item->pixels = absl::MakeConstSpan(pixels_).subspan(0, 2 * images);
    asked.item->images = images;
    asked.item->arrival = std::chrono::steady_clock::now();
    asked.item->probabilities.resize(images * 4);
    asked.item->done = [answer = asked.answer](BatchItem& item) { answer.Set(item.status); };
    submitted_ = batcher->Submit(asked.item);
    return asked;
  }

  const std::shared_ptr<FakeEngine> engine_ = std::make_shared<FakeEngine>();
  const std::shared_ptr<CountingObserver> observer_ = std::make_shared<CountingObserver>();
  const std::shared_ptr<ServedVersion> version_ =
      std::make_shared<ServedVersion>(Version{"net", 1, "", ""}, engine_, observer_);
  std::vector<std::uint8_t> pixels_ = [] {
    std::vector<std::uint8_t> pixels(2 * 100);
    for (std::size_t i = 0; i < 100; ++i) pixels[2 * i] = static_cast<std::uint8_t>(i);
    return pixels;
  }();
  absl::Status submitted_;
};

TEST_F(BatcherTest, JoinsWhatWasSplitInItsOrder) {
  Batcher batcher({.threads = 4, .queue = {.max_batch = 7}});
  const Asked asked = Ask(&batcher, 100);
  ASSERT_TRUE(asked.answer.Wait().ok());
  for (std::size_t i = 0; i < 100; ++i) {
    EXPECT_FLOAT_EQ(asked.item->probabilities[4 * i + 2], static_cast<float>(i) + 0.2f);
  }
  EXPECT_EQ(observer_->batches, 15);
  EXPECT_EQ(observer_->queued, 0);
}

TEST_F(BatcherTest, SleepingThreadsHelpWithALargeRequest) {
  absl::Notification gate;
  engine_->gate = &gate;
  Batcher batcher({.threads = 3, .queue = {.max_batch = 7}});
  const Asked asked = Ask(&batcher, 28);
  EXPECT_TRUE(WaitFor([&] { return engine_->runs == 3; }));
  gate.Notify();
  EXPECT_TRUE(asked.answer.Wait().ok());
}

TEST_F(BatcherTest, WhatCameWhileTheEngineWasBusyIsOneBatch) {
  absl::Notification gate;
  engine_->gate = &gate;
  Batcher batcher({.threads = 1});
  const Asked first = Ask(&batcher, 1);
  engine_->begun.WaitForNotification();
  std::vector<Asked> others;
  for (int i = 0; i < 5; ++i) others.push_back(Ask(&batcher, 2));
  EXPECT_EQ(observer_->queued, 10);
  gate.Notify();
  ASSERT_TRUE(first.answer.Wait().ok());
  for (const Asked& other : others) ASSERT_TRUE(other.answer.Wait().ok());
  EXPECT_EQ(engine_->runs, 2);
  EXPECT_EQ(others[4].item->largest_batch, 10);
  EXPECT_EQ(observer_->queued, 0);
}

TEST_F(BatcherTest, SaysWhenTheAnswersOfABatchBeginAndEnd) {
  struct Noted final : AnswerBatches {
    void Begin() override { open = true; }
    void End() override {
      open = false;
      ended.Notify();
    }
    bool open = false;
    absl::Notification ended;
  } noted;
  absl::Notification gate;
  engine_->gate = &gate;
  Batcher batcher({.threads = 1, .answers = &noted});
  const Asked alone = Ask(&batcher, 1);
  engine_->begun.WaitForNotification();
  const Asked one = Ask(&batcher, 1);
  const Asked two = Ask(&batcher, 1);
  bool together = false;
  one.item->done = [&](BatchItem&) { together = noted.open; };
  bool single = true;
  alone.item->done = [&](BatchItem&) { single = noted.open; };
  gate.Notify();
  noted.ended.WaitForNotification();
  EXPECT_TRUE(together);
  EXPECT_FALSE(single);
}

// Some pauses are shorter than an idle thread stays awake, some longer, some end just then.
TEST_F(BatcherTest, AnswersWhateverPauseIsBetweenTheRequests) {
  for (int threads : {1, 3}) {
    Batcher batcher({.threads = threads});
    for (int i = 0; i < 400; ++i) {
      const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(i);
      while (std::chrono::steady_clock::now() < until) {
      }
      ASSERT_TRUE(Ask(&batcher, 1).answer.Wait().ok()) << "after " << i << " µs";
    }
  }
  EXPECT_EQ(engine_->runs, 800);
}

TEST_F(BatcherTest, RefusesWhenTheQueueIsFullAndCountsIt) {
  absl::Notification gate;
  engine_->gate = &gate;
  Batcher batcher({.threads = 1, .queue = {.max_queued_images = 3}});
  const Asked running = Ask(&batcher, 1);
  engine_->begun.WaitForNotification();
  const Asked waiting = Ask(&batcher, 3);
  EXPECT_TRUE(submitted_.ok());
  Ask(&batcher, 1);
  EXPECT_EQ(submitted_.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(observer_->queued, 3);
  gate.Notify();
  EXPECT_TRUE(running.answer.Wait().ok());
  EXPECT_TRUE(waiting.answer.Wait().ok());
}

TEST_F(BatcherTest, TellsWhatWaitsOfTheEnd) {
  absl::Notification gate;
  engine_->gate = &gate;
  auto batcher = std::make_unique<Batcher>(Batcher::Options{.threads = 1});
  const Asked running = Ask(batcher.get(), 1);
  engine_->begun.WaitForNotification();
  const Asked waiting = Ask(batcher.get(), 1);
  gate.Notify();
  batcher.reset();
  EXPECT_TRUE(running.answer.Wait().ok());
  const absl::Status status = waiting.answer.Wait();
  EXPECT_TRUE(status.ok() || absl::IsUnavailable(status)) << status;
  EXPECT_EQ(observer_->queued, 0);
}

TEST_F(BatcherTest, AWaitingImageIsComputedWhenItsDelayIsOver) {
  Batcher batcher({.threads = 2, .queue = {.max_delay = absl::Milliseconds(2)}});
  EXPECT_TRUE(Ask(&batcher, 1).answer.Wait().ok());
}

}  // namespace
}  // namespace atelier::serving
