#include "server/jobs/scheduler.h"

#include <gtest/gtest.h>

namespace atelier::jobs {
namespace {

QueuedJob Job(const std::string& id, int sequence, int cores = 1, int priority = 0) {
  return {.id = id, .priority = priority, .sequence = sequence, .cores = cores};
}

std::vector<std::string> Order(const JobQueue& queue) {
  std::vector<std::string> ids;
  for (const QueuedJob& job : queue.jobs()) ids.push_back(job.id);
  return ids;
}

TEST(JobQueueTest, OrdersByPriorityThenByAcceptance) {
  JobQueue queue(10);
  queue.Push(Job("b", 2));
  queue.Push(Job("a", 1));
  queue.Push(Job("urgent", 3, 1, 5));
  queue.Push(Job("later", 0, 1, -5));
  EXPECT_EQ(Order(queue), (std::vector<std::string>{"urgent", "a", "b", "later"}));
}

TEST(SchedulerTest, HoldersAreLimitedWhereCoresAreNotCounted) {
  Scheduler scheduler({.cores = 0, .memory_bytes = 0}, 10, 2);
  scheduler.queue().Push(Job("a", 1, 64));
  scheduler.queue().Push(Job("b", 2, 128));
  scheduler.queue().Push(Job("c", 3));
  EXPECT_EQ(scheduler.Next()->resources.cores, 64);
  EXPECT_EQ(scheduler.Next()->resources.cores, 128);
  EXPECT_FALSE(scheduler.Next().has_value());
  scheduler.Release("a");
  EXPECT_EQ(scheduler.Next()->id, "c");
}

TEST(SchedulerTest, AJobThatMayNotStartHoldsUpNobody) {
  Scheduler scheduler({.cores = 2, .memory_bytes = 0}, 10);
  scheduler.queue().Push(Job("held", 1));
  scheduler.queue().Push(Job("large", 2, 2));
  scheduler.queue().Push(Job("small", 3));
  const auto not_held = [](const QueuedJob& job) { return job.id != "held"; };
  EXPECT_EQ(scheduler.Next(not_held)->id, "large");
  EXPECT_FALSE(scheduler.Next(not_held).has_value()) << "the order of all others stays strict";
  scheduler.Release("large");
  EXPECT_EQ(scheduler.Next(not_held)->id, "small");
  EXPECT_EQ(Order(scheduler.queue()), std::vector<std::string>{"held"});
  EXPECT_FALSE(scheduler.Next(not_held).has_value());
  EXPECT_EQ(scheduler.Next()->id, "held");
}

TEST(JobQueueTest, RequeuedJobKeepsItsPlace) {
  JobQueue queue(10);
  queue.Push(Job("second", 2));
  queue.Push(Job("third", 3));
  queue.Push(Job("first", 1));  // Was running and came back.
  EXPECT_EQ(queue.front().id, "first");
}

TEST(JobQueueTest, RejectsWhenFullButAlwaysTakesAJobBack) {
  JobQueue queue(2);
  queue.Push(Job("a", 1));
  EXPECT_FALSE(queue.full());
  queue.Push(Job("b", 2));
  EXPECT_TRUE(queue.full());
  queue.Push(Job("back", 0));
  EXPECT_EQ(queue.size(), 3u);
  EXPECT_TRUE(queue.full());
}

TEST(JobQueueTest, RemovesFromAnywhere) {
  JobQueue queue(10);
  for (int i = 0; i < 3; ++i) queue.Push(Job(std::to_string(i), i));
  EXPECT_TRUE(queue.Remove("1"));
  EXPECT_FALSE(queue.Remove("1"));
  EXPECT_EQ(Order(queue), (std::vector<std::string>{"0", "2"}));
}

TEST(SchedulerTest, GrantsWhileCoresAreFree) {
  Scheduler scheduler({.cores = 4}, 10);
  for (int i = 0; i < 3; ++i) scheduler.queue().Push(Job(std::to_string(i), i, 2));
  EXPECT_EQ(scheduler.Next()->id, "0");
  EXPECT_EQ(scheduler.Next()->id, "1");
  EXPECT_FALSE(scheduler.Next().has_value());
  EXPECT_EQ(scheduler.free().cores, 0);
  EXPECT_EQ(scheduler.holders(), 2u);
  scheduler.Release("0");
  EXPECT_EQ(scheduler.Next()->id, "2");
}

TEST(SchedulerTest, SmallJobDoesNotOvertakeALargeOne) {
  Scheduler scheduler({.cores = 4}, 10);
  scheduler.Hold("running", {.cores = 1});
  scheduler.queue().Push(Job("large", 1, 4));
  scheduler.queue().Push(Job("small", 2, 1));
  EXPECT_FALSE(scheduler.Next().has_value());
  scheduler.Release("running");
  EXPECT_EQ(scheduler.Next()->id, "large");
  EXPECT_FALSE(scheduler.Next().has_value());
}

TEST(SchedulerTest, GivesAtMostAllCores) {
  Scheduler scheduler({.cores = 2}, 10);
  scheduler.queue().Push(Job("wide", 1, 16));
  const auto grant = scheduler.Next();
  ASSERT_TRUE(grant.has_value());
  EXPECT_EQ(grant->resources.cores, 2);
}

TEST(SchedulerTest, HoldMayOverdrawAndReleaseOfAnUnknownJobDoesNothing) {
  Scheduler scheduler({.cores = 2}, 10);
  scheduler.Hold("old", {.cores = 4});
  EXPECT_EQ(scheduler.free().cores, -2);
  scheduler.Release("other");
  EXPECT_EQ(scheduler.free().cores, -2);
  scheduler.Release("old");
  scheduler.Release("old");
  EXPECT_EQ(scheduler.free().cores, 2);
}

// A job of one core.
QueuedJob Needs(const std::string& id, std::int64_t sequence, std::int64_t memory) {
  QueuedJob job = Job(id, sequence, 1);
  job.memory_bytes = memory;
  return job;
}

TEST(SchedulerTest, JobsThatRunTogetherFitTheMemory) {
  Scheduler scheduler({.cores = 4, .memory_bytes = 5000}, 10);
  for (int i = 0; i < 3; ++i) scheduler.queue().Push(Needs(std::to_string(i), i, 2000));
  EXPECT_EQ(scheduler.Next()->id, "0");
  EXPECT_FALSE(scheduler.HeadWaitsForMemory());
  EXPECT_EQ(scheduler.Next()->id, "1");
  EXPECT_FALSE(scheduler.Next().has_value());
  EXPECT_TRUE(scheduler.HeadWaitsForMemory());
  EXPECT_EQ(scheduler.free().memory_bytes, 1000);
  scheduler.Release("0");
  EXPECT_EQ(scheduler.Next()->id, "2");
}

TEST(SchedulerTest, JobThatNeedsMoreMemoryThanThereIsRunsAlone) {
  Scheduler scheduler({.cores = 4, .memory_bytes = 5000}, 10);
  scheduler.queue().Push(Needs("huge", 1, 9000));
  scheduler.queue().Push(Needs("small", 2, 1));
  EXPECT_EQ(scheduler.Next()->id, "huge");
  EXPECT_FALSE(scheduler.Next().has_value());
  scheduler.Release("huge");
  EXPECT_EQ(scheduler.Next()->id, "small");
  EXPECT_EQ(scheduler.free().memory_bytes, 4999);
}

TEST(SchedulerTest, MemoryDoesNotCountWhereItIsNotKnown) {
  Scheduler scheduler({.cores = 4}, 10);
  for (int i = 0; i < 3; ++i) scheduler.queue().Push(Needs(std::to_string(i), i, 2000));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(scheduler.Next().has_value());
}

}  // namespace
}  // namespace atelier::jobs
