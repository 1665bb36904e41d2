#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <thread>

#include "server/jobs/error.h"
#include "server/store/sqlite_store.h"
#include "tests/unit/store/records.h"
#include "tests/unit/store/temporary_folder.h"

namespace atelier::store {
namespace {

using jobs::JobRecord;
using jobs::JobUpdate;
using jobs::ReasonOf;

class SqliteJobStoreTest : public testing::Test {
 protected:
  SqliteJobStoreTest() { Reopen(); }

  void Reopen() {
    store_.reset();
    auto store = SqliteStore::Open(folder_ / "atelier.db");
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  JobRecord Insert(const std::string& id) {
    JobRecord record = MakeRecord(id);
    auto sequence = store_->Insert(record, {});
    EXPECT_TRUE(sequence.ok()) << sequence.status();
    record.sequence = *sequence;
    return record;
  }
  void Append(const JobRecord& record, std::vector<v1::JobEvent> events) {
    JobUpdate update;
    update.record = record;
    update.events = std::move(events);
    ASSERT_TRUE(store_->Commit(update).ok());
  }
  std::vector<std::int64_t> Numbers(const std::string& id, std::int64_t after, int limit,
                                    bool epochs_only) {
    std::vector<std::int64_t> numbers;
    const auto events = store_->ReadEvents(id, after, limit, epochs_only);
    EXPECT_TRUE(events.ok()) << events.status();
    for (const auto& event : *events) numbers.push_back(event.number());
    return numbers;
  }
  using List = std::vector<std::int64_t>;

  TemporaryFolder folder_;
  std::unique_ptr<SqliteStore> store_;
};

TEST_F(SqliteJobStoreTest, EveryFieldOfARecordSurvivesReopening) {
  JobRecord record = Insert("a");
  record.job.set_state(v1::JOB_STATE_TRAINING);
  record.request_id = "once";
  record.request = std::string("\0\x01 bytes", 8);
  record.last_event = 11;
  record.recorded_epoch = 3;
  record.token = "secret";
  record.handle = "pid 7";
  record.acknowledged = 12;
  record.positioned = true;
  record.lost_attempts = 2;
  record.stop_requested = true;
  record.reserved_version = 4;
  record.files_freed = true;
  Append(record, {});
  Reopen();
  auto loaded = store_->Load("a");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->id, "a");
  EXPECT_EQ(loaded->sequence, record.sequence);
  EXPECT_EQ(loaded->job.SerializeAsString(), record.job.SerializeAsString());
  EXPECT_EQ(loaded->request_id, "once");
  EXPECT_EQ(loaded->request, record.request);
  EXPECT_EQ(loaded->last_event, 11);
  EXPECT_EQ(loaded->recorded_epoch, 3);
  EXPECT_EQ(loaded->token, "secret");
  EXPECT_EQ(loaded->handle, "pid 7");
  EXPECT_EQ(loaded->acknowledged, 12);
  EXPECT_TRUE(loaded->positioned);
  EXPECT_EQ(loaded->lost_attempts, 2);
  EXPECT_TRUE(loaded->stop_requested);
  EXPECT_EQ(loaded->reserved_version, 4);
  EXPECT_TRUE(loaded->files_freed);
}

TEST_F(SqliteJobStoreTest, IdsAndRequestIdsAreTakenOnce) {
  JobRecord record = MakeRecord("a");
  record.request_id = "once";
  ASSERT_TRUE(store_->Insert(record, {}).ok());
  EXPECT_EQ(store_->Insert(MakeRecord("a"), {}).status().code(), absl::StatusCode::kAlreadyExists);
  record.id = "b";
  EXPECT_EQ(store_->Insert(record, {}).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ((*store_->FindByRequestId("", "once"))->id, "a");
  EXPECT_FALSE(store_->FindByRequestId("", "twice")->has_value());
}

TEST_F(SqliteJobStoreTest, RequestIdsAreEachCreatorsOwn) {
  for (const char* creator : {"", "alice", "bob"}) {
    JobRecord record = MakeRecord(absl::StrCat("job-of-", creator));
    record.request_id = "once";
    record.job.set_creator(creator);
    ASSERT_TRUE(store_->Insert(record, {}).ok()) << creator;
    record.id += "-2";
    EXPECT_TRUE(absl::IsAlreadyExists(store_->Insert(record, {}).status())) << creator;
  }
  const auto found = store_->FindByRequestId("bob", "once");
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->id, "job-of-bob");
  EXPECT_EQ((*found)->request_id, "once");
  EXPECT_FALSE(store_->FindByRequestId("carol", "once")->has_value());
  const absl::Time now = absl::Now();
  ASSERT_TRUE(store_->Delete("job-of-bob", now).ok());
  EXPECT_EQ(*store_->FindDeletedByRequestId("bob", "once", now), "job-of-bob");
  EXPECT_FALSE(store_->FindDeletedByRequestId("alice", "once", now)->has_value());
}

TEST_F(SqliteJobStoreTest, DeletedJobIsGoneButItsIdStaysTaken) {
  const JobRecord record = Insert("a");
  Append(record, {EpochEvent(1)});
  ASSERT_TRUE(store_->Delete("a", absl::Now()).ok());
  EXPECT_EQ(ReasonOf(store_->Load("a").status()), "JOB_NOT_FOUND");
  EXPECT_EQ(ReasonOf(store_->Delete("a", absl::Now())), "JOB_NOT_FOUND");
  EXPECT_TRUE(store_->ReadEvents("a", 0, 10, false)->empty());
  EXPECT_EQ(store_->Insert(MakeRecord("a"), {}).status().code(), absl::StatusCode::kAlreadyExists);
  JobUpdate update;
  update.record = record;
  EXPECT_EQ(ReasonOf(store_->Commit(update)), "JOB_NOT_FOUND");
}

TEST_F(SqliteJobStoreTest, CountsJobsByState) {
  EXPECT_EQ(store_->CountJobs()->size(), 0u);
  Insert("a");
  Insert("b");
  JobUpdate update;
  update.record = Insert("c");
  update.record.job.set_state(v1::JOB_STATE_FAILED);
  ASSERT_TRUE(store_->Commit(update).ok());
  EXPECT_EQ(*store_->CountJobs(),
            (jobs::JobCounts{{v1::JOB_STATE_QUEUED, 2}, {v1::JOB_STATE_FAILED, 1}}));
}

TEST_F(SqliteJobStoreTest, ReadsEventsInPagesWithoutSamplesIfAsked) {
  const JobRecord record = Insert("a");
  Append(Insert("b"), {EpochEvent(1)});
  Append(record, {EpochEvent(1), StepEvent(2), StepEvent(3), EpochEvent(4), StepEvent(5)});
  EXPECT_EQ(Numbers("a", 0, 10, false), (List{1, 2, 3, 4, 5}));
  EXPECT_EQ(Numbers("a", 2, 2, false), (List{3, 4}));
  EXPECT_EQ(Numbers("a", 0, 10, true), (List{1, 4}));
  EXPECT_EQ(Numbers("a", 5, 10, false), List{});
  EXPECT_EQ(Numbers("none", 0, 10, false), List{});
}

TEST_F(SqliteJobStoreTest, WithdrawalHidesProgressAndNothingElse) {
  const JobRecord record = Insert("a");
  v1::JobEvent resources;
  resources.set_number(3);
  resources.mutable_resources();
  v1::JobEvent transition;
  transition.set_number(4);
  transition.mutable_transition();
  Append(record, {EpochEvent(1), StepEvent(2), resources, transition, EpochEvent(5)});
  JobUpdate update;
  update.record = record;
  update.withdraw_from = 2;
  update.events = {EpochEvent(6)};
  ASSERT_TRUE(store_->Commit(update).ok());
  EXPECT_EQ(Numbers("a", 0, 10, false), (List{1, 3, 4, 6}));
  EXPECT_EQ(Numbers("a", 0, 10, true), (List{1, 4, 6}));
}

TEST_F(SqliteJobStoreTest, CommitThatFailsChangesNothing) {
  JobRecord record = Insert("a");
  Append(record, {EpochEvent(1)});
  JobUpdate update;
  update.record = record;
  update.record.recorded_epoch = 9;
  update.events = {EpochEvent(2), EpochEvent(1)};  // The second number is taken.
  EXPECT_EQ(ReasonOf(store_->Commit(update)), "STORE_FAILED");
  EXPECT_EQ(Numbers("a", 0, 10, false), List{1});
  EXPECT_EQ(store_->Load("a")->recorded_epoch, 0);
}

TEST_F(SqliteJobStoreTest, APageStaysBelowWhatClientsAccept) {
  for (int i = 0; i < 5; ++i) {
    JobRecord record = Insert(absl::StrCat("job-", i));
    record.job.add_transitions()->set_message(std::string(1 << 20, 'x'));
    Append(record, {});
  }
  jobs::JobQuery query{.page_size = 1000};
  std::vector<std::size_t> pages;
  do {
    const auto page = store_->List(query);
    ASSERT_TRUE(page.ok()) << page.status();
    pages.push_back(page->records.size());
    query.page_token = page->next_page_token;
  } while (!query.page_token.empty());
  EXPECT_EQ(pages, (std::vector<std::size_t>{2, 2, 1}));
}

TEST_F(SqliteJobStoreTest, ListsNewestFirstByState) {
  for (int i = 0; i < 5; ++i) {
    JobRecord record = Insert(absl::StrCat("job-", i));
    if (i % 2 == 0) record.job.set_state(v1::JOB_STATE_FAILED);
    Append(record, {});
  }
  jobs::JobQuery query{.page_size = 2, .page_token = "", .states = {v1::JOB_STATE_FAILED}};
  auto page = store_->List(query);
  ASSERT_EQ(page->records.size(), 2u);
  EXPECT_EQ(page->records[0].id, "job-4");
  EXPECT_EQ(page->records[1].id, "job-2");
  query.page_token = page->next_page_token;
  page = store_->List(query);
  ASSERT_EQ(page->records.size(), 1u);
  EXPECT_EQ(page->records[0].id, "job-0");
  EXPECT_EQ(page->next_page_token, "");
  query.states.clear();
  EXPECT_EQ(store_->List(query).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(SqliteJobStoreTest, UnfinishedAreThoseWhoseFilesAreNotFreed) {
  JobRecord first = Insert("first");
  Insert("second");
  first.files_freed = true;
  Append(first, {});
  auto unfinished = store_->LoadUnfinished();
  ASSERT_EQ(unfinished->size(), 1u);
  EXPECT_EQ((*unfinished)[0].id, "second");
}

TEST_F(SqliteJobStoreTest, PredictionsAreFilteredAndPaged) {
  JobUpdate update;
  update.record = Insert("a");
  EXPECT_EQ(ReasonOf(store_->ReadPredictions("a", {}).status()), "NOT_EVALUATED");
  jobs::Evaluation& evaluation = update.evaluation.emplace();
  evaluation.confusion_matrix.add_class_names("shirt");
  for (int i = 0; i < 12; ++i) {
    v1::Prediction& prediction = evaluation.predictions.emplace_back();
    prediction.set_index(i);
    prediction.set_true_class(i % 3);
    prediction.set_predicted_class(i % 2);
  }
  ASSERT_TRUE(store_->Commit(update).ok());
  Reopen();
  EXPECT_EQ(store_->ReadConfusionMatrix("a")->class_names(0), "shirt");

  const auto count = [&](jobs::PredictionQuery query) {
    return store_->ReadPredictions("a", query)->predictions_size();
  };
  EXPECT_EQ(count({}), 12);
  EXPECT_EQ(count({.true_class = 2}), 4);
  EXPECT_EQ(count({.predicted_class = 1}), 6);
  EXPECT_EQ(count({.true_class = 0, .predicted_class = 0, .wrong_only = true}), 0);
  EXPECT_EQ(count({.wrong_only = true}), 8);

  jobs::PredictionQuery query{.page_size = 3, .true_class = 0};
  auto page = store_->ReadPredictions("a", query);
  EXPECT_EQ(page->class_names(0), "shirt");
  ASSERT_EQ(page->predictions_size(), 3);
  query.page_token = page->next_page_token();
  page = store_->ReadPredictions("a", query);
  ASSERT_EQ(page->predictions_size(), 1);
  EXPECT_EQ(page->predictions(0).index(), 9);
  EXPECT_EQ(page->next_page_token(), "");
  query.true_class = 1;
  EXPECT_EQ(store_->ReadPredictions("a", query).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(SqliteJobStoreTest, FailedWriteIsAnErrorThatChangesNothing) {
  const JobRecord record = Insert("a");
  JobUpdate update;
  update.record = record;
  update.record.recorded_epoch = 5;
  v1::JobEvent large = EpochEvent(1);
  large.mutable_transition()->set_message(std::string(1 << 20, 'x'));
  update.events = {large};
  // No file may grow beyond 100 KiB: the write-ahead log cannot take the commit.
  const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
  rlimit unlimited{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
  rlimit tight = unlimited;
  tight.rlim_cur = 100 << 10;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  const absl::Status status = store_->Commit(update);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
  std::signal(SIGXFSZ, ignored);
  EXPECT_EQ(ReasonOf(status), "STORE_FAILED") << status;
  EXPECT_EQ(store_->Load("a")->recorded_epoch, 0);
  EXPECT_TRUE(store_->ReadEvents("a", 0, 10, false)->empty());
  ASSERT_TRUE(store_->Commit(update).ok());
  EXPECT_EQ(store_->Load("a")->recorded_epoch, 5);
}

TEST_F(SqliteJobStoreTest, ReadersAndAWriterWorkBesideEachOther) {
  JobRecord record = Insert("a");
  std::thread writer([&] {
    for (int i = 1; i <= 50; ++i) {
      JobUpdate update;
      update.record = record;
      update.record.last_event = i;
      update.events = {EpochEvent(i)};
      EXPECT_TRUE(store_->Commit(update).ok());
    }
  });
  std::vector<std::thread> readers;
  for (int r = 0; r < 4; ++r) {
    readers.emplace_back([&] {
      std::size_t seen = 0;
      while (seen < 50) {
        auto events = store_->ReadEvents("a", 0, 100, false);
        ASSERT_TRUE(events.ok()) << events.status();
        ASSERT_GE(events->size(), seen);
        seen = events->size();
        ASSERT_GE(store_->Load("a")->last_event, static_cast<std::int64_t>(seen));
      }
    });
  }
  writer.join();
  for (auto& reader : readers) reader.join();
}

}  // namespace
}  // namespace atelier::store
