#include "server/worker/outbox.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/worker/small_events.h"

namespace atelier::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

v1::WorkerEvent Suspended() {
  v1::WorkerEvent event;
  event.mutable_suspended();
  return event;
}

// What the outbox sends next, as `number:kind value`.
std::vector<std::string> Sent(Outbox* outbox) {
  v1::ReportEvents report;
  outbox->FillReport(&report);
  std::vector<std::string> sent;
  for (const v1::WorkerEvent& event : report.events()) {
    std::string text = std::to_string(event.number()) + ":";
    if (event.has_step()) text += "step " + std::to_string(event.step().step());
    if (event.has_epoch()) text += "epoch " + std::to_string(event.epoch().epoch());
    if (event.has_resources()) text += "resources";
    if (event.has_suspended()) text += "suspended";
    sent.push_back(text);
  }
  return sent;
}

TEST(OutboxTest, NumbersEventsFromOne) {
  Outbox outbox({});
  outbox.Add(Epoch(1));
  outbox.Add(Step(3));
  EXPECT_THAT(Sent(&outbox), ElementsAre("1:epoch 1", "2:step 3"));
  outbox.Add(Epoch(2));
  EXPECT_THAT(Sent(&outbox), ElementsAre("3:epoch 2"));
  EXPECT_FALSE(outbox.HasUnsent());
}

TEST(OutboxTest, KeepsEventsUntilTheyAreAcknowledged) {
  Outbox outbox({});
  outbox.Add(Epoch(1));
  outbox.Add(Epoch(2));
  Sent(&outbox);
  outbox.Acknowledge(1);
  EXPECT_FALSE(outbox.empty());
  outbox.Acknowledge(2);
  EXPECT_TRUE(outbox.empty());
}

TEST(OutboxTest, IgnoresOldAndImpossibleAcknowledgements) {
  Outbox outbox({});
  outbox.Add(Epoch(1));
  Sent(&outbox);
  outbox.Add(Epoch(2));
  outbox.Acknowledge(0);
  EXPECT_FALSE(outbox.empty());
  outbox.Acknowledge(100);
  EXPECT_THAT(Sent(&outbox), ElementsAre("2:epoch 2"));
}

TEST(OutboxTest, SendsAgainWhatTheServerLacks) {
  Outbox outbox({});
  for (int epoch = 1; epoch <= 3; ++epoch) outbox.Add(Epoch(epoch));
  Sent(&outbox);
  outbox.Add(Epoch(4));
  ASSERT_TRUE(outbox.Reconnect(2).ok());
  EXPECT_THAT(Sent(&outbox), ElementsAre("3:epoch 3", "4:epoch 4"));
}

TEST(OutboxTest, RefusesAServerWithAnotherPast) {
  Outbox outbox({});
  outbox.Add(Epoch(1));
  outbox.Add(Epoch(2));
  Sent(&outbox);
  outbox.Acknowledge(1);
  EXPECT_EQ(outbox.Reconnect(0).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(outbox.Reconnect(3).code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(outbox.Reconnect(1).ok());
  EXPECT_TRUE(outbox.Reconnect(2).ok());
}

TEST(OutboxTest, DropsTheOldestSamplesAloneAndLeavesNoGap) {
  Outbox outbox({.samples = 2});
  outbox.Add(Step(1));
  outbox.Add(Epoch(1));
  outbox.Add(Step(2));
  v1::WorkerEvent resources;
  resources.mutable_resources();
  outbox.Add(resources);
  outbox.Add(Epoch(2));
  outbox.Add(Step(3));
  EXPECT_THAT(Sent(&outbox), ElementsAre("1:epoch 1", "2:resources", "3:epoch 2", "4:step 3"));
}

TEST(OutboxTest, DropsNothingThatWasSent) {
  Outbox outbox({.samples = 1});
  outbox.Add(Step(1));
  EXPECT_THAT(Sent(&outbox), ElementsAre("1:step 1"));
  outbox.Add(Step(2));
  outbox.Add(Step(3));
  ASSERT_TRUE(outbox.Reconnect(0).ok());
  EXPECT_THAT(Sent(&outbox), ElementsAre("1:step 1", "2:step 3"));
}

TEST(OutboxTest, SendsNoMoreThanItsWindowAhead) {
  Outbox outbox({.window = 2});
  for (int epoch = 1; epoch <= 4; ++epoch) outbox.Add(Epoch(epoch));
  EXPECT_THAT(Sent(&outbox), ElementsAre("1:epoch 1", "2:epoch 2"));
  EXPECT_THAT(Sent(&outbox), IsEmpty());
  outbox.Acknowledge(1);
  EXPECT_THAT(Sent(&outbox), ElementsAre("3:epoch 3"));
}

TEST(OutboxTest, TakesNothingAfterTheLastEvent) {
  Outbox outbox({});
  outbox.Add(Suspended());
  outbox.Add(Step(1));
  EXPECT_FALSE(outbox.finished());
  EXPECT_THAT(Sent(&outbox), ElementsAre("1:suspended"));
  outbox.Acknowledge(1);
  EXPECT_TRUE(outbox.finished());
}

}  // namespace
}  // namespace atelier::worker
