// What a busy server's page weighs.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "prometheus/text_serializer.h"
#include "server/base/system_clock.h"
#include "server/jobs/attempt.h"
#include "server/jobs/job_change.h"
#include "server/jobs/timestamps.h"
#include "server/metrics/call_metrics.h"
#include "server/metrics/job_metrics.h"
#include "server/metrics/machine_metrics.h"
#include "server/metrics/process_metrics.h"
#include "server/metrics/serving_metrics.h"

namespace atelier::metrics {
namespace {

// A job in training that has told everything there is to tell.
void Train(int number, const Clock& clock, JobMetrics* metrics) {
  jobs::JobRecord record;
  record.id = absl::StrCat("cnn-3-pooled-20261122-2107", 10 + number);
  record.job.mutable_spec()->set_epochs(20);
  record.job.mutable_spec()->set_memory_bytes(2147483648);
  *record.job.mutable_create_time() = jobs::ToTimestamp(clock.Now());
  jobs::JobChange change(record, clock.Now());
  ASSERT_TRUE(change.Enter(v1::JOB_STATE_QUEUED, "ACCEPTED", "").ok());
  ASSERT_TRUE(
      jobs::BeginAttempt({.handle = "token", .status = jobs::LaunchRunning()}, 1, &change).ok());
  v1::JobEvent event;
  v1::Progress* step = event.mutable_step();
  step->set_epoch(17);
  step->set_training_loss(0.123456789012345 + number);
  step->set_training_accuracy(0.912345678901234);
  step->set_images_per_second(3912.3456789012);
  change.Append(event);
  event.mutable_epoch()->set_validation_loss(0.234567890123456 + number);
  event.mutable_epoch()->set_validation_accuracy(0.9234567890123);
  change.Append(event);
  v1::ResourceSample* sample = event.mutable_resources();
  sample->set_cpu_seconds(1234.567891);
  sample->set_cpu_utilization(1.987654321);
  sample->set_resident_bytes(512345678);
  sample->set_read_bytes(123456789);
  sample->set_written_bytes(123456789);
  sample->set_sent_bytes(123456789);
  sample->set_received_bytes(1234567);
  change.Append(event);
  metrics->Stored(change.record(), change.update().events);
}

// A version that has answered some requests of every speed and size, not all of them well.
std::shared_ptr<serving::VersionObserver> Serve(int number, ServingMetrics* metrics) {
  auto version = metrics->Observe(absl::StrCat("cnn-3-pooled-", number % 5), 10 + number);
  version->Loaded(absl::Milliseconds(1234), 1234567);
  for (int i = 0; i < 2000; ++i) {
    version->Arrived();
    version->Answered(
        {.code = i % 100 == 0 ? absl::StatusCode::kInvalidArgument : absl::StatusCode::kOk,
         .images = i,
         .total = absl::Microseconds(i * i),
         .computed = true,
         .queue = absl::Microseconds(i),
         .compute = absl::Microseconds(i * i - i)});
    version->Computed(i % 64, serving::DispatchReason::kIdle);
  }
  return version;
}

TEST(PageSizeTest, FiftyJobsAndTwentyVersionsFitIn220Kilobytes) {
  prometheus::Registry registry;
  const SystemClock clock;
  JobMetrics jobs({.worker_cores = 64, .queue_capacity = 1000}, &clock, &registry);
  ServingMetrics serving({}, &clock, &registry);
  CallMetrics calls(&registry);
  const ProcessMetrics process;
  const MachineMetrics machine({.data_dir = "/"});
  for (int i = 0; i < 50; ++i) Train(i, clock, &jobs);
  std::vector<std::shared_ptr<serving::VersionObserver>> versions;
  for (int i = 0; i < 20; ++i) versions.push_back(Serve(i, &serving));
  for (int i = 0; i < 12; ++i) {
    rpc::MethodObserver* method = calls.Observe(
        "atelier.v1.TrainingService", absl::StrCat("GetConfusion", i), rpc::CallType::kUnary);
    for (const auto code : {absl::StatusCode::kOk, absl::StatusCode::kNotFound}) {
      method->Begun();
      method->Ended(code, absl::Milliseconds(3));
    }
  }

  std::vector<prometheus::MetricFamily> families;
  for (const prometheus::Collectable* part :
       std::vector<const prometheus::Collectable*>{&registry, &jobs, &process, &machine}) {
    for (auto& family : part->Collect()) families.push_back(std::move(family));
  }
  const std::string page = prometheus::TextSerializer().Serialize(families);
  RecordProperty("bytes", static_cast<int>(page.size()));
  EXPECT_LT(page.size(), 220'000u);
}

}  // namespace
}  // namespace atelier::metrics
