#include "server/metrics/job_metrics.h"

#include <functional>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/jobs/attempt.h"
#include "server/jobs/job_change.h"
#include "server/jobs/timestamps.h"
#include "tests/unit/jobs/fakes.h"
#include "tests/unit/metrics/page_text.h"

namespace atelier::metrics {
namespace {

using jobs::JobChange;
using jobs::JobRecord;

constexpr double kNone = -1;

class JobMetricsTest : public testing::Test {
 protected:
  // Makes a step of a job and stores it, as the controller would.
  void Change(JobRecord* record, const std::function<absl::Status(JobChange*)>& step) {
    JobChange change(*record, clock_.Now());
    ASSERT_TRUE(step(&change).ok());
    *record = change.record();
    metrics_.Stored(*record, change.update().events);
  }

  JobRecord Accept(const std::string& id) {
    JobRecord record;
    record.id = id;
    record.job.mutable_spec()->set_epochs(20);
    record.job.mutable_spec()->set_memory_bytes(1000);
    *record.job.mutable_create_time() = jobs::ToTimestamp(clock_.Now());
    Change(&record,
           [](JobChange* change) { return change->Enter(v1::JOB_STATE_QUEUED, "ACCEPTED", ""); });
    return record;
  }
  void Begin(JobRecord* record, int cores = 2) {
    Change(record, [&](JobChange* change) {
      return jobs::BeginAttempt({.handle = "token", .status = jobs::LaunchRunning()}, cores,
                                change);
    });
  }
  void Append(JobRecord* record, const v1::JobEvent& event) {
    Change(record, [&](JobChange* change) {
      change->Append(event);
      return absl::OkStatus();
    });
  }
  void Lose(JobRecord* record) {
    Change(record, [](JobChange* change) { return jobs::LoseAttempt("killed", 3, change); });
  }
  void Fail(JobRecord* record, const std::string& reason) {
    Change(record, [&](JobChange* change) { return jobs::FailAttempt(reason, "", change); });
  }

  static v1::JobEvent Epoch(int epoch, double loss) {
    v1::JobEvent event;
    event.mutable_epoch()->set_epoch(epoch);
    event.mutable_epoch()->set_validation_loss(loss);
    event.mutable_epoch()->set_validation_accuracy(0.5);
    return event;
  }

  double Counted(const std::string& series) { return ValueOf(registry_, series).value_or(kNone); }
  double Shown(const std::string& series) { return ValueOf(metrics_, series).value_or(kNone); }

  jobs::FakeClock clock_;
  prometheus::Registry registry_;
  JobMetrics metrics_{{.worker_cores = 4, .queue_capacity = 10}, &clock_, &registry_};
};

TEST_F(JobMetricsTest, EverythingCountedIsThereFromTheStartAtZero) {
  EXPECT_EQ(Counted(R"(atelier_job_transitions_total{reason="WORKER_LOST",state="queued"})"), 0);
  EXPECT_EQ(Counted(R"(atelier_job_transitions_total{reason="DIVERGED",state="failed"})"), 0);
  EXPECT_EQ(Counted("atelier_workers_lost_total"), 0);
  EXPECT_EQ(Counted("atelier_queue_wait_seconds_count"), 0);
  for (const std::string state : {"completed", "failed", "stopped"}) {
    EXPECT_EQ(Counted(absl::StrCat("atelier_job_duration_seconds_count{state=\"", state, "\"}")),
              0);
  }
  for (const auto& [series, value] : Show(registry_)) EXPECT_EQ(value, 0) << series;
  EXPECT_EQ(CountOf(metrics_, "atelier_jobs{state="),
            static_cast<unsigned>(v1::JobState_descriptor()->value_count() - 1));
  EXPECT_EQ(Shown("atelier_queue_capacity"), 10);
  EXPECT_EQ(Shown("atelier_worker_cores"), 4);
}

TEST_F(JobMetricsTest, FollowsAJobFromTheQueueToItsEnd) {
  JobRecord job = Accept("a");
  EXPECT_EQ(Shown(R"(atelier_jobs{state="queued"})"), 1);
  EXPECT_EQ(Shown("atelier_queue_length"), 1);
  EXPECT_EQ(Shown("atelier_worker_cores_in_use"), 0);

  clock_.Advance(absl::Seconds(10));
  Begin(&job);
  EXPECT_EQ(Shown(R"(atelier_jobs{state="queued"})"), 0);
  EXPECT_EQ(Shown(R"(atelier_jobs{state="starting"})"), 1);
  EXPECT_EQ(Shown("atelier_queue_length"), 0);
  EXPECT_EQ(Shown("atelier_worker_cores_in_use"), 2);
  EXPECT_EQ(Counted("atelier_queue_wait_seconds_sum"), 10);

  clock_.Advance(absl::Seconds(20));
  Fail(&job, "DIVERGED");
  EXPECT_EQ(Shown(R"(atelier_jobs{state="failed"})"), 1);
  EXPECT_EQ(Shown("atelier_worker_cores_in_use"), 0);
  EXPECT_EQ(Counted(R"(atelier_job_duration_seconds_sum{state="failed"})"), 30);
  EXPECT_EQ(Counted(R"(atelier_job_transitions_total{reason="DIVERGED",state="failed"})"), 1);
  EXPECT_EQ(Counted("atelier_workers_lost_total"), 0);
}

TEST_F(JobMetricsTest, AnImportHasImagesAndNothingOfATraining) {
  JobRecord job = Accept("a");
  job.job.clear_spec();
  job.job.mutable_import()->set_memory_bytes(2000);
  Begin(&job);
  v1::JobEvent event;
  event.mutable_step()->set_images(500);
  event.mutable_step()->set_images_per_second(50);
  Append(&job, event);
  EXPECT_EQ(Shown(R"(atelier_job_imported_images{job="a"})"), 500);
  EXPECT_EQ(Shown(R"(atelier_job_images_per_second{job="a"})"), 50);
  EXPECT_EQ(Shown(R"(atelier_job_memory_limit_bytes{job="a"})"), 2000);
  for (const char* none : {"epoch", "epochs", "training_loss", "training_accuracy_ratio",
                           "last_checkpoint_timestamp_seconds"}) {
    EXPECT_EQ(Shown(absl::StrCat("atelier_job_", none, "{job=\"a\"}")), kNone) << none;
  }
}

TEST_F(JobMetricsTest, ACheckHasImagesThatNoImportHas) {
  JobRecord job = Accept("a");
  job.job.clear_spec();
  job.job.mutable_check()->set_memory_bytes(3000);
  Begin(&job);
  v1::JobEvent event;
  event.mutable_step()->set_images(70);
  Append(&job, event);
  EXPECT_EQ(Shown(R"(atelier_job_scored_images{job="a"})"), 70);
  EXPECT_EQ(Shown(R"(atelier_job_memory_limit_bytes{job="a"})"), 3000);
  EXPECT_EQ(Shown(R"(atelier_job_imported_images{job="a"})"), kNone);
  EXPECT_EQ(Shown(R"(atelier_job_epochs{job="a"})"), kNone);
}

TEST_F(JobMetricsTest, ARunningJobShowsItsNewestEvents) {
  JobRecord job = Accept("a");
  EXPECT_EQ(CountOf(metrics_, R"(job="a")"), 0u);
  Begin(&job);
  const double started = absl::ToDoubleSeconds(clock_.Now() - absl::UnixEpoch());
  EXPECT_EQ(Shown(R"(atelier_job_cores{job="a"})"), 2);
  EXPECT_EQ(Shown(R"(atelier_job_memory_limit_bytes{job="a"})"), 1000);
  EXPECT_EQ(Shown(R"(atelier_job_epochs{job="a"})"), 20);
  EXPECT_EQ(Shown(R"(atelier_job_last_checkpoint_timestamp_seconds{job="a"})"), started);
  EXPECT_EQ(Shown(R"(atelier_job_training_loss{job="a"})"), kNone);

  v1::JobEvent event;
  event.mutable_step()->set_epoch(3);
  event.mutable_step()->set_training_loss(0.5);
  Append(&job, event);
  event.mutable_resources()->set_cpu_utilization(1.5);
  Append(&job, event);
  Append(&job, Epoch(2, 0.25));
  clock_.Advance(absl::Seconds(5));
  event.Clear();
  event.mutable_checkpoint()->set_epoch(2);
  Append(&job, event);
  EXPECT_EQ(Shown(R"(atelier_job_epoch{job="a"})"), 3);
  EXPECT_EQ(Shown(R"(atelier_job_training_loss{job="a"})"), 0.5);
  EXPECT_EQ(Shown(R"(atelier_job_cpu_utilization_cores{job="a"})"), 1.5);
  EXPECT_EQ(Shown(R"(atelier_job_validation_loss{job="a"})"), 0.25);
  EXPECT_EQ(Shown(R"(atelier_job_last_checkpoint_timestamp_seconds{job="a"})"), started + 5);
  EXPECT_EQ(CountOf(metrics_, R"(job="a")"), 17u);
}

TEST_F(JobMetricsTest, AWithdrawnEpochIsNotShown) {
  JobRecord job = Accept("a");
  Begin(&job);
  Append(&job, Epoch(2, 0.25));
  v1::JobEvent event;
  event.mutable_rewound()->set_epoch(2);
  Append(&job, event);
  EXPECT_EQ(Shown(R"(atelier_job_validation_loss{job="a"})"), 0.25);
  event.mutable_rewound()->set_epoch(1);
  Append(&job, event);
  EXPECT_EQ(Shown(R"(atelier_job_validation_loss{job="a"})"), kNone);
}

TEST_F(JobMetricsTest, ALostWorkerIsCountedAndItsJobWaitsWithoutSeries) {
  JobRecord job = Accept("a");
  Begin(&job);
  v1::JobEvent sample;
  sample.mutable_resources()->set_resident_bytes(7);
  Append(&job, sample);
  Lose(&job);
  EXPECT_EQ(Counted("atelier_workers_lost_total"), 1);
  EXPECT_EQ(Shown("atelier_queue_length"), 1);
  EXPECT_EQ(CountOf(metrics_, R"(job="a")"), 0u);
  Begin(&job);
  EXPECT_EQ(Shown(R"(atelier_job_cores{job="a"})"), 2);
  EXPECT_EQ(Shown(R"(atelier_job_resident_memory_bytes{job="a"})"), kNone);
}

TEST_F(JobMetricsTest, AThousandFinishedJobsLeaveNoSeriesButTheLastFailures) {
  JobRecord first = Accept("first");
  Begin(&first);
  Fail(&first, "INTERNAL");
  const std::size_t before = Show(metrics_).size() + Show(registry_).size();
  for (int i = 0; i < 1000; ++i) {
    JobRecord job = Accept(absl::StrCat("job-", i));
    Begin(&job);
    Append(&job, Epoch(1, 0.5));
    if (i % 2 == 0) Lose(&job);
    Fail(&job, i % 3 == 0 ? "BAD_DATA" : "INTERNAL");
  }
  EXPECT_EQ(Show(metrics_).size() + Show(registry_).size(), before + 19);
  EXPECT_EQ(CountOf(metrics_, "job=\""), 20u);
  EXPECT_EQ(Shown(R"(atelier_jobs{state="failed"})"), 1001);
}

TEST_F(JobMetricsTest, AFailureForAnyOtherReasonIsOther) {
  JobRecord job = Accept("a");
  Begin(&job);
  Fail(&job, "MADE_UP_BY_A_WORKER");
  EXPECT_EQ(Counted(R"(atelier_job_transitions_total{reason="OTHER",state="failed"})"), 1);
  EXPECT_EQ(CountOf(registry_, "MADE_UP"), 0u);
}

TEST_F(JobMetricsTest, DurationsKeepToRealTimeWhenTheClockIsSet) {
  JobRecord job = Accept("a");
  clock_.Advance(absl::Seconds(10));
  clock_.Set(-absl::Hours(1));
  Begin(&job);
  clock_.Advance(absl::Seconds(20));
  clock_.Set(absl::Hours(5));
  Fail(&job, "INTERNAL");
  EXPECT_EQ(Counted("atelier_queue_wait_seconds_sum"), 10);
  EXPECT_EQ(Counted(R"(atelier_job_duration_seconds_sum{state="failed"})"), 30);
}

TEST_F(JobMetricsTest, AJobFromAnEarlierServerIsMeasuredFromItsRecord) {
  JobRecord job = Accept("a");
  clock_.Advance(absl::Seconds(100));
  prometheus::Registry registry;
  JobMetrics next({}, &clock_, &registry);
  next.Began({{v1::JOB_STATE_QUEUED, 1}, {v1::JOB_STATE_COMPLETED, 5}});
  next.Stored(job, {});
  EXPECT_EQ(ValueOf(next, R"(atelier_jobs{state="queued"})"), 1);
  EXPECT_EQ(ValueOf(next, R"(atelier_jobs{state="completed"})"), 5);
  JobChange change(job, clock_.Now());
  ASSERT_TRUE(
      jobs::BeginAttempt({.handle = "token", .status = jobs::LaunchRunning()}, 1, &change).ok());
  next.Stored(change.record(), change.update().events);
  EXPECT_EQ(ValueOf(registry, "atelier_queue_wait_seconds_sum"), 100);
}

TEST_F(JobMetricsTest, AJobFromTheFutureHasWaitedNoTime) {
  JobRecord job = Accept("a");
  clock_.Set(-absl::Hours(2));  // While no server ran.
  prometheus::Registry registry;
  JobMetrics next({}, &clock_, &registry);
  next.Stored(job, {});
  JobChange change(job, clock_.Now());
  ASSERT_TRUE(
      jobs::BeginAttempt({.handle = "token", .status = jobs::LaunchRunning()}, 1, &change).ok());
  next.Stored(change.record(), change.update().events);
  EXPECT_EQ(ValueOf(registry, "atelier_queue_wait_seconds_sum"), 0);
  EXPECT_EQ(ValueOf(registry, "atelier_queue_wait_seconds_count"), 1);
}

TEST_F(JobMetricsTest, ADeletedJobIsNoLongerCounted) {
  JobRecord job = Accept("a");
  Begin(&job);
  Fail(&job, "INTERNAL");
  metrics_.Deleted(job);
  EXPECT_EQ(Shown(R"(atelier_jobs{state="failed"})"), 0);
}

TEST_F(JobMetricsTest, NamesTheJobsThatFailedLast) {
  for (const std::string id : {"a", "b", "c", "d"}) {
    JobRecord job = Accept(id);
    Begin(&job);
    if (id == "c") continue;
    Fail(&job, id == "b" ? "DIVERGED" : "SOLAR_FLARE");
    if (id == "d") metrics_.Deleted(job);
    clock_.Advance(absl::Seconds(10));
  }
  EXPECT_EQ(Shown(R"(atelier_job_failed_timestamp_seconds{job="a",reason="OTHER"})"),
            1'700'000'001);
  EXPECT_EQ(Shown(R"(atelier_job_failed_timestamp_seconds{job="b",reason="DIVERGED"})"),
            1'700'000'011);
  EXPECT_EQ(CountOf(metrics_, "atelier_job_failed_timestamp_seconds"), 2u)
      << "neither one that runs nor one that was deleted";
}

TEST_F(JobMetricsTest, NamesOnlyAFewOfManyThatFailed) {
  for (int i = 0; i < 100; ++i) {
    JobRecord job = Accept(absl::StrCat("job-", i));
    Begin(&job);
    Fail(&job, "BAD_DATA");
  }
  EXPECT_EQ(CountOf(metrics_, "atelier_job_failed_timestamp_seconds"), 20u);
  EXPECT_EQ(CountOf(metrics_, "job=\"job-99\""), 1u);
}

}  // namespace
}  // namespace atelier::metrics
