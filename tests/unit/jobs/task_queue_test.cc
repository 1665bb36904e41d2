#include "server/base/task_queue.h"

#include <atomic>
#include <future>
#include <memory>
#include <vector>

#include "gtest/gtest.h"

namespace atelier::jobs {
namespace {

// Occupies a queue's only thread until released. The task may outlive the blocker.
class Blocker {
 public:
  explicit Blocker(TaskQueue* queue) {
    auto started = std::make_shared<std::promise<void>>();
    EXPECT_TRUE(queue->TryAdd([started, released = released_.get_future().share()] {
      started->set_value();
      released.wait();
    }));
    started->get_future().wait();
  }
  void Release() { released_.set_value(); }

 private:
  std::promise<void> released_;
};

TEST(TaskQueueTest, RunsTasksInOrder) {
  std::vector<int> seen;
  {
    TaskQueue queue({});
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(queue.TryAdd([&seen, i] { seen.push_back(i); }));
    }
  }
  ASSERT_EQ(seen.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(seen[i], i);
}

TEST(TaskQueueTest, RefusesWhenFull) {
  std::atomic<int> ran = 0;
  {
    TaskQueue queue({.capacity = 2});
    Blocker blocker(&queue);
    EXPECT_TRUE(queue.TryAdd([&ran] { ++ran; }));
    EXPECT_TRUE(queue.TryAdd([&ran] { ++ran; }));
    EXPECT_FALSE(queue.TryAdd([&ran] { ran = 100; }));
    blocker.Release();
  }
  EXPECT_EQ(ran, 2);
}

TEST(TaskQueueTest, RunsTasksBesideEachOther) {
  std::promise<void> first, second;
  TaskQueue queue({.threads = 2});
  // Each waits for the other: neither ends on a single thread.
  std::promise<void> done_first, done_second;
  ASSERT_TRUE(queue.TryAdd([&] {
    first.set_value();
    second.get_future().wait();
    done_first.set_value();
  }));
  ASSERT_TRUE(queue.TryAdd([&] {
    second.set_value();
    first.get_future().wait();
    done_second.set_value();
  }));
  done_first.get_future().wait();
  done_second.get_future().wait();
}

TEST(TaskQueueTest, FinishesWaitingTasksWhenDestroyed) {
  std::atomic<int> ran = 0;
  Blocker* blocker = nullptr;
  {
    TaskQueue queue({});
    blocker = new Blocker(&queue);
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(queue.TryAdd([&ran] { ++ran; }));
    blocker->Release();
  }
  delete blocker;
  EXPECT_EQ(ran, 10);
}

}  // namespace
}  // namespace atelier::jobs
