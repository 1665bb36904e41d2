#include "client/following/top_view.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/terminal/display_text.h"
#include "gtest/gtest.h"

namespace atelier::client {
namespace {

class Metrics {
 public:
  explicit Metrics(int seconds) { response_.mutable_time()->set_seconds(1'800'000'000 + seconds); }

  Metrics& Add(const std::string& name, double value, const MetricSamples::Labels& labels = {}) {
    v1::MetricSample* const sample = response_.add_samples();
    sample->set_name(name);
    sample->mutable_labels()->insert(labels.begin(), labels.end());
    sample->set_value(value);
    return *this;
  }

  // NOLINTNEXTLINE(google-explicit-constructor): what tests write.
  operator MetricSamples() const { return MetricSamples(response_); }

 private:
  v1::GetMetricsResponse response_;
};

const MetricSamples::Labels kModel = {{"model", "shoes"}, {"version", "2"}};

ServerLoad BusyServer() {
  ServerLoad load;
  load.address = "127.0.0.1:50051";
  load.before = Metrics(0)
                    .Add("process_start_time_seconds", 1'800'000'000 - 120)
                    .Add("atelier_machine_cpu_seconds_total", 100)
                    .Add("atelier_inference_images_total", 50, kModel)
                    .Add("atelier_inference_request_duration_seconds_count", 10, kModel)
                    .Add("atelier_inference_request_duration_seconds_sum", 1, kModel);
  load.now = Metrics(2)
                 .Add("process_start_time_seconds", 1'800'000'000 - 120)
                 .Add("atelier_build_info", 1, {{"version", "1.2.3"}})
                 .Add("atelier_machine_cpu_seconds_total", 103)
                 .Add("atelier_machine_cpu_cores", 2)
                 .Add("atelier_worker_cores", 2)
                 .Add("atelier_worker_cores_in_use", 1)
                 .Add("atelier_queue_length", 3)
                 .Add("atelier_queue_capacity", 1000)
                 .Add("atelier_job_images_per_second", 3900, {{"job", "night-1"}})
                 .Add("atelier_inference_images_total", 450, kModel)
                 .Add("atelier_inference_request_duration_seconds_count", 30, kModel)
                 .Add("atelier_inference_request_duration_seconds_sum", 1.1, kModel);
  v1::TrainingJob job;
  job.set_name("jobs/night-1");
  job.set_state(v1::JOB_STATE_TRAINING);
  job.mutable_spec()->set_preset("cnn-3");
  job.mutable_spec()->set_epochs(20);
  job.mutable_progress()->set_epoch(4);
  load.jobs.push_back(job);
  return load;
}

std::string Text(const ServerLoad& load, int width = 100, int height = 40) {
  return absl::StrJoin(RenderTop(load, Style(false), width, height), "\n");
}

TEST(TopViewTest, SaysWhatJobsWaitFor) {
  ServerLoad load = BusyServer();
  load.jobs[0].set_state(v1::JOB_STATE_STARTING);
  load.jobs[0].set_waiting_reason("It waits: Slurm job 12 waits: Priority.");
  const std::string text = absl::StrJoin(RenderTop(load, Style(false), 100, 40), "\n");
  EXPECT_TRUE(absl::StrContains(text, "starting !")) << text;
  EXPECT_TRUE(absl::StrContains(text, "! night-1: It waits: Slurm job 12 waits: Priority."))
      << text;
}

TEST(TopViewTest, ShowsRatesBetweenTheTwoMoments) {
  const std::string text = Text(BusyServer());
  for (const char* words :
       {"atelier 1.2.3", "up 2m 02s", "1.5 of 2 cores", "1.0 of 2 cores in use", "3 of 1,000",
        "night-1", "training", "4/20", "3,900", "shoes@2", "200 /s classified", "5.00 ms"}) {
    EXPECT_TRUE(absl::StrContains(text, words)) << words << "\n" << text;
  }
}

TEST(TopViewTest, AnotherServersCountersGiveNoRate) {
  ServerLoad load = BusyServer();
  load.before = Metrics(0).Add("process_start_time_seconds", 7);
  EXPECT_FALSE(load.now.Rate(load.before, "atelier_machine_cpu_seconds_total").has_value());
  EXPECT_TRUE(absl::StrContains(Text(load), "– of 2 cores"));
}

TEST(TopViewTest, ASeriesThatBeganMeanwhileCountsFromZero) {
  ServerLoad load = BusyServer();
  load.before = Metrics(0).Add("process_start_time_seconds", 1'800'000'000 - 120);
  EXPECT_DOUBLE_EQ(*load.now.Rate(load.before, "atelier_inference_images_total"), 225);
}

TEST(TopViewTest, KeepsToTheTerminalsSize) {
  ServerLoad load = BusyServer();
  for (int i = 2; i < 60; ++i) {
    load.jobs.push_back(load.jobs.front());
    load.jobs.back().set_name(absl::StrCat("jobs/night-", i));
  }
  for (const int width : {40, 80, 120}) {
    for (const int height : {5, 24, 50}) {
      const auto lines = RenderTop(load, Style(false), width, height);
      EXPECT_LE(static_cast<int>(lines.size()), height);
      for (const std::string& line : lines) {
        if (width < 80) continue;
        EXPECT_LE(DisplayWidth(line), width) << line;
      }
    }
  }
  const std::string text = Text(load, 80, 24);
  EXPECT_TRUE(absl::StrContains(text, " more")) << text;
  EXPECT_TRUE(absl::StrContains(text, "shoes@2")) << "many jobs leave models their lines\n" << text;
}

TEST(TopViewTest, AnIdleServerSaysSo) {
  ServerLoad load;
  load.now = Metrics(1);
  EXPECT_TRUE(absl::StrContains(Text(load), "No jobs are queued or running."));
  EXPECT_TRUE(absl::StrContains(Text(load), "No models are loaded."));
}

}  // namespace
}  // namespace atelier::client
