#include "server/jobs/worker_events.h"

#include <gtest/gtest.h>

namespace atelier::jobs {
namespace {

v1::JobEvent Step(int epoch, int step) {
  v1::JobEvent event;
  event.mutable_step()->set_epoch(epoch);
  event.mutable_step()->set_step(step);
  return event;
}
v1::JobEvent Epoch(int epoch) {
  v1::JobEvent event;
  event.mutable_epoch()->set_epoch(epoch);
  return event;
}
v1::JobEvent Checkpoint(std::int64_t global_step) {
  v1::JobEvent event;
  event.mutable_checkpoint()->set_global_step(global_step);
  return event;
}
v1::JobEvent EarlyStop(int epoch) {
  v1::JobEvent event;
  event.mutable_early_stop()->set_epoch(epoch);
  return event;
}

worker::v1::Resumed At(int epoch, int step, std::int64_t global_step) {
  worker::v1::Resumed checkpoint;
  checkpoint.set_epoch(epoch);
  checkpoint.set_step(step);
  checkpoint.set_global_step(global_step);
  return checkpoint;
}

// Checkpoint after two epochs of 100 steps, and one at step 30 of the third.
TEST(LiesBeyondTest, Table) {
  const struct {
    v1::JobEvent event;
    bool beyond_epoch_end;
    bool beyond_middle;
  } cases[] = {
      {Step(2, 100), false, false},   {Step(3, 1), true, false},
      {Step(3, 30), true, false},     {Step(3, 31), true, true},
      {Step(4, 1), true, true},       {Epoch(2), false, false},
      {Epoch(3), true, true},         {Checkpoint(200), false, false},
      {Checkpoint(230), true, false}, {Checkpoint(231), true, true},
      {EarlyStop(1), false, false},   {EarlyStop(2), true, true},
      {EarlyStop(3), true, true},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(LiesBeyond(c.event, At(2, 0, 200)), c.beyond_epoch_end) << c.event.DebugString();
    EXPECT_EQ(LiesBeyond(c.event, At(2, 30, 230)), c.beyond_middle) << c.event.DebugString();
  }
}

TEST(LiesBeyondTest, WhatIsNoProgressIsNeverBeyond) {
  v1::JobEvent event;
  event.mutable_resources();
  EXPECT_FALSE(LiesBeyond(event, At(0, 0, 0)));
  event.mutable_transition();
  EXPECT_FALSE(LiesBeyond(event, At(0, 0, 0)));
  event.mutable_rewound();
  EXPECT_FALSE(LiesBeyond(event, At(0, 0, 0)));
}

}  // namespace
}  // namespace atelier::jobs
