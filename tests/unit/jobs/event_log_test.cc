#include "server/jobs/event_log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "server/jobs/job_change.h"
#include "server/store/sqlite_store.h"
#include "tests/unit/jobs/fakes.h"

namespace atelier::jobs {
namespace {

// One job whose events are stored and then logged, as the controller does.
class EventLogTest : public testing::Test {
 protected:
  EventLogTest() {
    static int count = 0;
    folder_ = std::filesystem::temp_directory_path() /
              absl::StrCat("atelier-event-log-", getpid(), "-", ++count);
    std::filesystem::create_directories(folder_);
    store_ = *store::SqliteStore::Open(folder_ / "atelier.db");
    log_ = std::make_unique<EventLog>(EventLog::Options{.tail_events = 4, .page_events = 3},
                                      store_.get());
    record_.id = "job";
    record_.job.set_name("jobs/job");
    record_.job.set_state(v1::JOB_STATE_TRAINING);
    log_->Open("job", 0);
    record_.sequence = *store_->Insert(record_, {});
  }
  ~EventLogTest() override {
    log_.reset();
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  void Commit(JobChange change) {
    ASSERT_TRUE(store_->Commit(change.update()).ok());
    for (auto& wake : log_->Append("job", change.update().withdraw_from, change.update().events)) {
      wake();
    }
    record_ = change.record();
  }
  JobChange Change() { return {record_, absl::Now()}; }
  void AddEpoch(int epoch) {
    JobChange change = Change();
    v1::JobEvent event;
    event.mutable_epoch()->set_epoch(epoch);
    change.Append(event);
    Commit(std::move(change));
  }
  void AddStep() {
    JobChange change = Change();
    v1::JobEvent event;
    event.mutable_step();
    change.Append(event);
    Commit(std::move(change));
  }
  void End() {
    JobChange change = Change();
    ASSERT_TRUE(change.Enter(v1::JOB_STATE_FAILED, "DIVERGED", "NaN.").ok());
    Commit(std::move(change));
    for (auto& wake : log_->Close("job")) wake();
  }

  EventPage Read(std::int64_t after, int limit = 0, bool epochs_only = false) {
    auto page = log_->Read("job", after, limit, epochs_only);
    EXPECT_TRUE(page.ok()) << page.status();
    return *std::move(page);
  }
  static std::vector<std::int64_t> Numbers(const EventPage& page) {
    std::vector<std::int64_t> numbers;
    for (const auto& event : page.events) numbers.push_back(event->number());
    return numbers;
  }
  using List = std::vector<std::int64_t>;

  std::filesystem::path folder_;
  std::unique_ptr<store::SqliteStore> store_;
  std::unique_ptr<EventLog> log_;
  JobRecord record_;
};

TEST_F(EventLogTest, ReplaysFromTheStoreAndGoesOnInMemory) {
  for (int i = 1; i <= 9; ++i) AddEpoch(i);
  EventPage page = Read(0);
  EXPECT_EQ(Numbers(page), (List{1, 2, 3}));
  EXPECT_EQ(page.position, 3);
  page = Read(3);
  EXPECT_EQ(Numbers(page), (List{4, 5, 6}));
  page = Read(6);
  EXPECT_EQ(Numbers(page), (List{7, 8, 9}));
  EXPECT_FALSE(page.ended);
  page = Read(9);
  EXPECT_TRUE(page.events.empty());
  EXPECT_EQ(page.position, 9);
}

TEST_F(EventLogTest, ReadersShareOneCopyOfTheNewestEvents) {
  AddEpoch(1);
  EXPECT_EQ(Read(0).events[0], Read(0).events[0]);
}

TEST_F(EventLogTest, LimitIsKeptAndBounded) {
  for (int i = 1; i <= 4; ++i) AddEpoch(i);
  EXPECT_EQ(Numbers(Read(0, 2)), (List{1, 2}));
  EXPECT_EQ(Numbers(Read(0, 1000)), (List{1, 2, 3}));
}

TEST_F(EventLogTest, EpochsOnlyLeavesSamplesOutAndMovesPastThem) {
  AddEpoch(1);
  AddStep();
  AddStep();
  EventPage page = Read(0, 0, true);
  EXPECT_EQ(Numbers(page), (List{1}));
  EXPECT_EQ(page.position, 3);
  for (int i = 0; i < 5; ++i) AddStep();  // Pushes the epoch out of memory.
  page = Read(0, 0, true);
  EXPECT_EQ(Numbers(page), (List{1}));
  EXPECT_EQ(page.position, 8);
  AddEpoch(2);
  EXPECT_EQ(Numbers(Read(page.position, 0, true)), (List{9}));
}

TEST_F(EventLogTest, WithdrawnEventsAreGoneFromMemoryAndStore) {
  for (int i = 1; i <= 3; ++i) AddEpoch(i);
  JobChange change = Change();
  change.Rewind(2, 1, 0);
  Commit(std::move(change));
  EXPECT_EQ(Numbers(Read(0)), (List{1, 4}));
  End();
  EXPECT_EQ(Numbers(Read(0)), (List{1, 4, 5}));
}

TEST_F(EventLogTest, SubscriberIsWokenOnceByTheNextEvent) {
  AddEpoch(1);
  int woken = 0;
  ASSERT_TRUE(log_->Subscribe("job", 1, [&] { ++woken; }).has_value());
  EXPECT_EQ(woken, 0);
  AddEpoch(2);
  EXPECT_EQ(woken, 1);
  AddEpoch(3);
  EXPECT_EQ(woken, 1);
}

TEST_F(EventLogTest, SubscribingBehindTheNewestEventSaysToReadAgain) {
  AddEpoch(1);
  AddEpoch(2);
  EXPECT_FALSE(log_->Subscribe("job", 1, [] { FAIL(); }).has_value());
}

TEST_F(EventLogTest, UnsubscribedIsNotWoken) {
  const auto id = log_->Subscribe("job", 0, [] { FAIL(); });
  EXPECT_TRUE(log_->Unsubscribe("job", *id));
  EXPECT_FALSE(log_->Unsubscribe("job", *id));
  AddEpoch(1);
}

TEST_F(EventLogTest, EndWakesAndIsSeenAfterTheLastEvent) {
  AddEpoch(1);
  int woken = 0;
  ASSERT_TRUE(log_->Subscribe("job", 1, [&] { ++woken; }).has_value());
  End();
  EXPECT_EQ(woken, 1);
  EXPECT_FALSE(log_->Subscribe("job", 2, [] { FAIL(); }).has_value());
  EXPECT_FALSE(Read(0, 1).ended);
  EXPECT_TRUE(Read(1).ended);
  EXPECT_TRUE(Read(2).ended);
  EXPECT_TRUE(Read(100).ended);
}

TEST_F(EventLogTest, UnknownJobIsNotFound) {
  EXPECT_EQ(ReasonOf(log_->Read("none", 0, 0, false).status()), "JOB_NOT_FOUND");
}

// Readers that come at any time see every event once and in order, while events are written.
TEST_F(EventLogTest, ReadersMissNothingWhileEventsAreWritten) {
  constexpr int kReaders = 4;
  constexpr int kEvents = 300;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> readers;
  for (int r = 0; r < kReaders; ++r) {
    readers.emplace_back([&] {
      Mutex mutex;
      CondVar changed;
      bool woken = false;
      std::int64_t position = 0;
      std::int64_t expected = 1;
      while (true) {
        auto page = log_->Read("job", position, 0, false);
        if (!page.ok()) break;
        for (const auto& event : page->events) {
          if (event->number() != expected++) ++wrong;
        }
        position = page->position;
        if (page->ended) break;
        if (!page->events.empty()) continue;
        const auto id = log_->Subscribe("job", position, [&] {
          MutexLock lock(&mutex);
          woken = true;
          changed.NotifyAll();
        });
        if (!id.has_value()) continue;
        MutexLock lock(&mutex);
        while (!woken) changed.Wait(&mutex);
        woken = false;
      }
      if (expected != kEvents + 2) ++wrong;
    });
  }
  for (int i = 1; i <= kEvents; ++i) AddEpoch(i);
  End();
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace atelier::jobs
