// Event files over the real database and folder.
#include "server/tensorboard/event_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "server/store/folder_artifact_store.h"
#include "server/store/sqlite_store.h"
#include "tests/unit/store/records.h"
#include "tests/unit/store/temporary_folder.h"
#include "tests/unit/wait.h"

namespace atelier::tensorboard {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The payloads of whole records; their checksums are looked at by records_test.
std::vector<Event> ReadEvents(const std::string& path) {
  const std::string bytes = store::ReadFile(path);
  std::vector<Event> events;
  std::size_t at = 0;
  while (at + 12 <= bytes.size()) {
    const auto length =
        static_cast<unsigned char>(bytes[at]) + 256u * static_cast<unsigned char>(bytes[at + 1]);
    EXPECT_TRUE(events.emplace_back().ParseFromString(bytes.substr(at + 12, length)));
    at += 12 + length + 4;
  }
  EXPECT_EQ(at, bytes.size());
  return events;
}

// Where the values of a series lie.
std::vector<std::int64_t> StepsOf(const std::vector<Event>& events, const std::string& tag) {
  std::vector<std::int64_t> steps;
  for (const Event& event : events) {
    for (const Summary::Value& value : event.summary().value()) {
      if (value.tag() == tag) steps.push_back(event.step());
    }
  }
  return steps;
}

class EventFilesTest : public testing::Test {
 protected:
  EventFilesTest()
      : store_(*store::SqliteStore::Open(folder_ / "db")),
        log_({}, store_.get()),
        artifacts_(folder_.path().string()) {
    record_ = store::MakeRecord("job");
    record_.job.mutable_create_time()->set_seconds(1700000000);
    record_.job.mutable_spec()->set_preset("cnn-1");
    record_.job.mutable_spec()->set_recipe(v1::RECIPE_FAST);
    record_.job.mutable_spec()->set_pooling(v1::POOLING_KIND_AVERAGE);
    record_.job.mutable_spec()->add_pool(2);
    record_.job.mutable_spec()->add_pool(0);
    Insert();
    Open();
  }

  void Insert() {
    record_.job.set_name(jobs::JobName(record_.id));
    log_.Open(record_.id, 0);
    record_.sequence = *store_->Insert(record_, {});
  }

  // A server begins.
  void Open() {
    files_.reset();
    EventFiles::Options options;
    options.pause = absl::ZeroDuration();
    options.draw_filters = [](const std::string& version) -> absl::StatusOr<Picture> {
      return Picture{"filters", 1, 2, version};
    };
    files_ = std::make_unique<EventFiles>(
        options, EventFiles::Dependencies{store_.get(), &log_, &artifacts_});
  }

  void Store(std::vector<v1::JobEvent> events, std::optional<std::int64_t> withdraw_from = {},
             std::optional<jobs::Evaluation> evaluation = {}) {
    jobs::JobUpdate update;
    for (v1::JobEvent& event : events) event.set_number(++record_.last_event);
    update.record = record_;
    update.events = events;
    update.withdraw_from = withdraw_from;
    update.evaluation = std::move(evaluation);
    ASSERT_TRUE(store_->Commit(update).ok());
    ASSERT_THAT(log_.Append(record_.id, withdraw_from, events), IsEmpty());
  }

  void StoreEpoch(int epoch) { Store({store::EpochEvent(epoch)}); }

  // The job completes, with a result and a confusion matrix.
  void StoreEnd() {
    record_.job.set_state(v1::JOB_STATE_COMPLETED);
    v1::JobEvent result, transition;
    result.mutable_result()->set_best_epoch(2);
    result.mutable_result()->set_test_accuracy(0.5);
    result.mutable_result()->set_model_version("models/cnn-1/versions/1");
    transition.mutable_transition()->set_state(v1::JOB_STATE_COMPLETED);
    jobs::Evaluation evaluation;
    for (int row = 0; row < 2; ++row) {
      v1::ConfusionRow* const counts = evaluation.confusion_matrix.add_rows();
      counts->add_counts(3);
      counts->add_counts(row);
    }
    Store({result, transition}, std::nullopt, evaluation);
  }

  std::vector<Event> Written() {
    const auto file = files_->Update("job");
    EXPECT_TRUE(file.ok()) << file.status();
    if (!file.ok()) return {};
    path_ = file->path;
    EXPECT_EQ(static_cast<std::int64_t>(std::filesystem::file_size(path_)), file->bytes);
    return ReadEvents(path_);
  }

  // Without those that were emptied.
  int EventFileCount() const {
    int count = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(folder_ / "jobs/job/tensorboard")) {
      const bool events = entry.path().string().find("tfevents") != std::string::npos;
      if (events && entry.file_size() > 0) ++count;
    }
    return count;
  }

  const store::TemporaryFolder folder_;
  const std::unique_ptr<store::SqliteStore> store_;
  jobs::EventLog log_;
  store::FolderArtifactStore artifacts_;
  jobs::JobRecord record_;
  std::unique_ptr<EventFiles> files_;
  std::string path_;
};

TEST_F(EventFilesTest, BeginsWithTheHyperparameters) {
  const std::vector<Event> events = Written();
  EXPECT_EQ(path_, folder_ / "jobs/job/tensorboard/events.out.tfevents.1700000000.atelier");
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_EQ(events[0].wall_time(), 1700000000);
  const Summary::Value& value = events[2].summary().value(0);
  EXPECT_EQ(value.metadata().plugin_data().plugin_name(), "hparams");
  HyperparameterData data;
  ASSERT_TRUE(data.ParseFromString(value.metadata().plugin_data().content()));
  const auto& parameters = data.session_start_info().hparams();
  EXPECT_EQ(parameters.at("preset").string_value(), "cnn-1");
  EXPECT_EQ(parameters.at("recipe").string_value(), "fast");
  EXPECT_EQ(parameters.at("epochs").number_value(), 20);
  EXPECT_EQ(parameters.count("model_name"), 0u);
  EXPECT_EQ(parameters.at("pooling").string_value(), "average");
  EXPECT_EQ(parameters.at("pool").string_value(), "2,0");
  for (const char* absent : {"momentum", "activation", "conv"}) {
    EXPECT_EQ(parameters.count(absent), 0u) << "the job has no " << absent;
  }
}

TEST_F(EventFilesTest, TrainingAndValidationStandInOneChart) {
  const Summary::Value value = Written()[2].summary().value(1);
  EXPECT_EQ(value.tag(), "custom_scalars__config__");
  EXPECT_EQ(value.metadata().plugin_data().plugin_name(), "custom_scalars");
  ChartLayout layout;
  ASSERT_TRUE(layout.ParseFromString(value.tensor().string_val(0)));
  ASSERT_EQ(layout.category_size(), 1);
  ASSERT_EQ(layout.category(0).chart_size(), 2);
  EXPECT_THAT(layout.category(0).chart(0).multiline().tag(),
              ElementsAre("^epoch/training_loss$", "^epoch/validation_loss$"));
  EXPECT_THAT(layout.category(0).chart(1).multiline().tag(),
              ElementsAre("^epoch/training_accuracy$", "^epoch/validation_accuracy$"));
}

TEST_F(EventFilesTest, AppendsWhatARunningJobTells) {
  StoreEpoch(1);
  EXPECT_THAT(StepsOf(Written(), "epoch/validation_loss"), ElementsAre(1));
  v1::JobEvent step;
  step.mutable_step()->set_epoch(2);
  step.mutable_step()->set_step(3);
  step.mutable_step()->set_steps_per_epoch(10);
  Store({step});
  const auto before = std::filesystem::file_size(path_);
  const std::vector<Event> events = Written();
  EXPECT_GT(std::filesystem::file_size(path_), before);
  EXPECT_THAT(StepsOf(events, "epoch/validation_loss"), ElementsAre(1));
  EXPECT_THAT(StepsOf(events, "step/training_loss"), ElementsAre(13));
}

TEST_F(EventFilesTest, WhatWasWithdrawnIsGone) {
  StoreEpoch(1);
  StoreEpoch(2);
  EXPECT_THAT(StepsOf(Written(), "epoch/training_loss"), ElementsAre(1, 2));
  v1::JobEvent rewound;
  rewound.mutable_rewound()->set_first_withdrawn(2);
  Store({rewound, store::EpochEvent(2), store::EpochEvent(3)}, 2);
  EXPECT_THAT(StepsOf(Written(), "epoch/training_loss"), ElementsAre(1, 2, 3));
  StoreEpoch(4);
  EXPECT_THAT(StepsOf(Written(), "epoch/training_loss"), ElementsAre(1, 2, 3, 4));
}

// Whoever reads the old file, which is empty now, goes on with the one whose name comes next, and
// drops what it had.
TEST_F(EventFilesTest, WhatIsStillThereAfterItWasWithdrawnIsWrittenOnce) {
  v1::JobEvent rewound;
  rewound.mutable_rewound()->set_first_withdrawn(1);
  Store({store::EpochEvent(1), rewound, store::EpochEvent(2)});
  const auto file = files_->Update("job");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(StepsOf(ReadEvents(file->path), "epoch/validation_accuracy"), ElementsAre(1, 2));
}

TEST_F(EventFilesTest, WhatIsWrittenAnewIsAFurtherFileThatBeginsASession) {
  StoreEpoch(1);
  StoreEpoch(2);
  Written();
  const std::string old = path_;
  v1::JobEvent rewound;
  rewound.mutable_rewound()->set_first_withdrawn(2);
  Store({rewound}, 2);
  std::vector<Event> events = Written();
  EXPECT_EQ(path_, old + ".000001");
  EXPECT_EQ(std::filesystem::file_size(old), 0u);
  EXPECT_EQ(events[1].session_log().status(), SessionLog::STATUS_START);
  EXPECT_EQ(events[1].step(), 0);
  EXPECT_THAT(StepsOf(events, "epoch/training_loss"), ElementsAre(1));
  Open();
  Written();
  EXPECT_EQ(path_, old + ".000002");
  StoreEnd();
  Written();
  EXPECT_EQ(path_, old + ".000002") << "it is only appended to";
  EXPECT_EQ(EventFileCount(), 1);
}

TEST_F(EventFilesTest, AHundredRestartsLeaveAFewFiles) {
  StoreEpoch(1);
  for (int i = 0; i < 100; ++i) {
    Open();
    Written();
  }
  EXPECT_EQ(EventFileCount(), 1);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "jobs/job/tensorboard")) {
    files += entry.is_regular_file() ? 1 : 0;
  }
  EXPECT_LE(files, 12);
}

TEST_F(EventFilesTest, ARestartedServerWritesTheFileAnew) {
  StoreEpoch(1);
  Written();
  files_.reset();
  std::ofstream(path_, std::ios::app) << "half a rec";
  Open();
  StoreEpoch(2);
  EXPECT_THAT(StepsOf(Written(), "epoch/training_loss"), ElementsAre(1, 2));
  EXPECT_EQ(EventFileCount(), 1);
}

TEST_F(EventFilesTest, AFileThatSomebodyCutIsWrittenAnew) {
  StoreEpoch(1);
  Written();
  std::filesystem::resize_file(path_, 5);
  EXPECT_THAT(StepsOf(Written(), "epoch/training_loss"), ElementsAre(1));
}

TEST_F(EventFilesTest, EndsWithResultPicturesAndOutcome) {
  StoreEpoch(1);
  StoreEnd();
  const std::vector<Event> events = Written();
  EXPECT_THAT(StepsOf(events, "test/accuracy"), ElementsAre(2));
  EXPECT_THAT(StepsOf(events, "_hparams_/session_end_info"), ElementsAre(0));
  const Summary& summary = events[events.size() - 2].summary();
  ASSERT_EQ(summary.value_size(), 4);
  EXPECT_EQ(summary.value(2).tag(), "confusion_matrix");
  EXPECT_EQ(summary.value(2).image().encoded_image_string().substr(1, 3), "PNG");
  EXPECT_GT(summary.value(2).image().height(), 2 * 16);
  EXPECT_EQ(summary.value(3).tag(), "filters");
  EXPECT_EQ(summary.value(3).image().encoded_image_string(), "models/cnn-1/versions/1");
}

TEST_F(EventFilesTest, ACompleteFileIsLeftAlone) {
  StoreEnd();
  Written();
  const auto time = std::filesystem::last_write_time(path_) - std::chrono::hours(1);
  std::filesystem::last_write_time(path_, time);
  Open();
  EXPECT_FALSE(Written().empty());
  EXPECT_EQ(std::filesystem::last_write_time(path_), time);
}

TEST_F(EventFilesTest, WritesByItselfAndWhatAnEarlierServerLeft) {
  files_.reset();  // Or it may write what follows.
  StoreEpoch(1);
  StoreEnd();
  absl::Notification drawn;
  EventFiles::Options options;
  options.pause = absl::ZeroDuration();
  options.draw_filters = [&](const std::string&) -> absl::StatusOr<Picture> {
    drawn.Notify();
    return absl::NotFoundError("none");
  };
  files_ = std::make_unique<EventFiles>(options,
                                        EventFiles::Dependencies{store_.get(), &log_, &artifacts_});
  drawn.WaitForNotification();
  EXPECT_THAT(StepsOf(Written(), "test/accuracy"), ElementsAre(2));
}

TEST_F(EventFilesTest, WhatChangesDoesNotWaitForWhatEarlierServersLeft) {
  constexpr int kLeft = 60;
  files_.reset();
  StoreEnd();
  const jobs::JobRecord changed = record_;
  record_.job.set_state(v1::JOB_STATE_STOPPED);
  record_.last_event = 0;
  for (int i = 0; i < kLeft; ++i) {
    record_.id = absl::StrCat("left-", i);
    Insert();
  }
  record_.id = "newest";  // Begun with.
  Insert();
  StoreEnd();

  const auto is_complete = [&](int i) {
    return std::filesystem::exists(folder_ /
                                   absl::StrCat("jobs/left-", i, "/tensorboard/complete"));
  };
  absl::Notification began, told, over;
  int draws = 0, complete = 0;
  EventFiles::Options options;
  options.pause = absl::ZeroDuration();
  options.draw_filters = [&](const std::string&) -> absl::StatusOr<Picture> {
    if (++draws == 1) {
      began.Notify();
      told.WaitForNotification();
    } else if (draws == 2) {
      for (int i = 0; i < kLeft; ++i) complete += is_complete(i);
      over.Notify();
    }
    return absl::NotFoundError("none");
  };
  files_ = std::make_unique<EventFiles>(options,
                                        EventFiles::Dependencies{store_.get(), &log_, &artifacts_});
  began.WaitForNotification();
  files_->Stored(changed, {});
  told.Notify();
  over.WaitForNotification();
  EXPECT_LT(complete, kLeft);
  EXPECT_TRUE(WaitFor([&] { return is_complete(0) && is_complete(kLeft - 1); }));
}

TEST_F(EventFilesTest, KnowsNoJobThatIsNotThere) {
  EXPECT_TRUE(absl::IsNotFound(files_->Update("other").status()));
}

TEST_F(EventFilesTest, WritesWhatItIsToldOf) {
  StoreEpoch(1);
  files_->Stored(record_, {});
  const std::string path = folder_ / "jobs/job/tensorboard/events.out.tfevents.1700000000.atelier";
  ASSERT_TRUE(WaitFor([&] { return std::filesystem::exists(path); }));
  EXPECT_THAT(StepsOf(ReadEvents(path), "epoch/training_loss"), ElementsAre(1));
}

TEST_F(EventFilesTest, LeavesNothingOfADeletedJob) {
  StoreEpoch(1);
  Written();
  ASSERT_TRUE(store_->Delete("job", absl::Now()).ok());
  files_->Deleted(record_);
  ASSERT_TRUE(WaitFor([&] { return !std::filesystem::exists(folder_ / "jobs/job"); }));
  EXPECT_FALSE(files_->Update("job").ok());
  EXPECT_FALSE(std::filesystem::exists(folder_ / "jobs/job"));
}

}  // namespace
}  // namespace atelier::tensorboard
