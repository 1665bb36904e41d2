// Tests of what a load is made of and measured with, and of `atelier bench classify` against a fake
// server.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "client/command_line.h"
#include "client/load/latency_histogram.h"
#include "client/load/load_generator.h"
#include "client/load/load_report.h"
#include "client/load/poisson_arrivals.h"
#include "gtest/gtest.h"
#include "tests/unit/client/fake_server.h"

namespace atelier::client {
namespace {

TEST(LatencyHistogramTest, KnowsEveryPercentileToLessThanAPercent) {
  LatencyHistogram histogram;
  std::vector<double> values;
  for (int i = 1; i <= 100'000; ++i) {
    // From 1 µs to 10 s, more short ones than long ones.
    values.push_back(std::pow(10, 3 + 7.0 * i / 100'000));
    histogram.Record(absl::Nanoseconds(values.back()));
  }
  for (const double percent : {0.001, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(percent / 100 * 100'000)) - 1;
    const double found = absl::ToDoubleNanoseconds(histogram.Percentile(percent));
    EXPECT_GE(found, std::floor(values[rank])) << percent;
    EXPECT_LE(found, values[rank] * 1.008) << percent;
  }
  EXPECT_EQ(histogram.count(), 100'000);
  EXPECT_EQ(histogram.max(), absl::Seconds(10));
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / 100'000;
  EXPECT_NEAR(absl::ToDoubleNanoseconds(histogram.mean()), mean, mean / 1000);
}

TEST(LatencyHistogramTest, SmallDurationsAreExactAndOddOnesAreKept) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.Percentile(99), absl::ZeroDuration());
  EXPECT_EQ(histogram.mean(), absl::ZeroDuration());
  for (int i = 0; i < 256; ++i) histogram.Record(absl::Nanoseconds(i));
  EXPECT_EQ(histogram.Percentile(50), absl::Nanoseconds(127));
  histogram.Record(-absl::Seconds(1));
  EXPECT_EQ(histogram.Percentile(0.1), absl::ZeroDuration());
  histogram.Record(absl::InfiniteDuration());
  EXPECT_EQ(histogram.Percentile(100), absl::Hours(2));
}

TEST(PoissonArrivalsTest, GapsAreExponential) {
  constexpr double kRate = 500;
  constexpr int kArrivals = 100'000;
  PoissonArrivals arrivals(kRate);
  std::vector<double> gaps;
  absl::Duration before;
  for (int i = 0; i < kArrivals; ++i) {
    const absl::Duration now = arrivals.Next();
    EXPECT_GE(now, before);
    gaps.push_back(absl::ToDoubleSeconds(now - before) * kRate);
    before = now;
  }
  const double mean = std::accumulate(gaps.begin(), gaps.end(), 0.0) / kArrivals;
  EXPECT_NEAR(mean, 1, 0.02);
  // As many are longer than x as e^-x says.
  for (const double x : {0.1, 0.5, 1.0, 2.0, 4.0}) {
    const auto longer =
        std::count_if(gaps.begin(), gaps.end(), [x](double gap) { return gap > x; });
    EXPECT_NEAR(static_cast<double>(longer) / kArrivals, std::exp(-x), 0.01) << x;
  }
}

TEST(PoissonArrivalsTest, TheSameSeedGivesTheSameArrivals) {
  PoissonArrivals one(10, 7), same(10, 7), other(10, 8);
  const absl::Duration first = one.Next();
  EXPECT_EQ(first, same.Next());
  EXPECT_NE(first, other.Next());
}

// The arrivals are the same in every run.
int ArrivalsBefore(absl::Duration end, double rate) {
  PoissonArrivals arrivals(rate);
  int count = 0;
  while (arrivals.Next() < end) ++count;
  return count;
}

class LoadTest : public testing::Test {
 protected:
  // A model of 2×2 grey images; every answer says 2 ms of queue and 3 ms of compute.
  LoadTest() {
    server_.handlers.get_model = [](const auto& request, v1::Model* model) {
      model->set_name(request.name());
      auto* const version = model->add_versions();
      version->set_version(4);
      version->mutable_image_shape()->set_channels(1);
      version->mutable_image_shape()->set_height(2);
      version->mutable_image_shape()->set_width(2);
      auto* const alias = model->add_aliases();
      alias->set_alias("latest");
      alias->set_version(4);
      return grpc::Status::OK;
    };
    server_.handlers.classify = [this](const v1::ClassifyRequest& request, auto* response) {
      if (++calls_ == interrupt_at_) interrupted_ = true;
      pixels_ = request.raw().pixels().size();
      if (fail_after_ > 0 && calls_ > fail_after_) {
        return ErrorWithReason(grpc::StatusCode::RESOURCE_EXHAUSTED, "QUEUE_FULL", "Too much.");
      }
      if (blocked_) {
        absl::MutexLock lock(&mutex_);
        mutex_.Await(absl::Condition(&open_));
      }
      response->set_model_version("models/cnn/versions/4");
      response->mutable_queue_time()->set_nanos(2'000'000);
      response->mutable_compute_time()->set_nanos(3'000'000);
      response->set_largest_batch(8);
      return grpc::Status::OK;
    };
  }
  ~LoadTest() override {
    Open();
    server_.Stop();
  }

  void Open() {
    absl::MutexLock lock(&mutex_);
    open_ = true;
  }

  int Run(std::vector<std::string> arguments, const std::string& format = "json") {
    arguments.insert(arguments.begin(), {"bench", "classify"});
    arguments.push_back("--server=" + server_.address());
    arguments.push_back("--output=" + format);
    out_.str("");
    err_.str("");
    const Terminal terminal{.out = out_, .err = err_};
    return RunCommandLine(arguments, terminal, [this] { return interrupted_.load(); });
  }
  nlohmann::json Json() { return nlohmann::json::parse(out_.str()); }

  FakeServer server_;
  std::atomic<int> calls_ = 0;
  std::atomic<std::size_t> pixels_ = 0;
  std::atomic<int> fail_after_ = 0;
  std::atomic<bool> blocked_ = false;
  std::atomic<bool> interrupted_ = false;
  std::atomic<int> interrupt_at_ = -1;
  absl::Mutex mutex_;
  bool open_ = false;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(LoadTest, AClosedLoopKeepsItsCallersBusyAndTellsTheServersSplit) {
  server_.Start();
  EXPECT_EQ(Run({"cnn", "--concurrency=4", "--images=3", "--duration=0.3", "--warmup=0",
                 "--deadline=3600"}),
            0);
  const nlohmann::json json = Json();
  EXPECT_EQ(pixels_, 12U);
  EXPECT_EQ(json["loop"], "closed");
  EXPECT_EQ(json["complete"], true);
  EXPECT_GT(json["answered"], 0);
  EXPECT_EQ(json["sent"], json["answered"]);
  EXPECT_LE(json["answered"], calls_.load());
  EXPECT_NEAR(json["images_per_second"], 3 * json["requests_per_second"].get<double>(), 1e-6);
  EXPECT_NEAR(json["queue_ms"]["p50"], 2, 0.02);
  EXPECT_NEAR(json["compute_ms"]["p99.9"], 3, 0.03);
  EXPECT_LE(json["latency_ms"]["p50"], json["latency_ms"]["p99"]);
  EXPECT_LE(json["latency_ms"]["p99"], json["latency_ms"]["max"]);
  EXPECT_EQ(json["mean_largest_batch"], 8);
  EXPECT_EQ(json["versions"]["models/cnn/versions/4"], json["answered"]);
}

TEST_F(LoadTest, AnOpenLoopSendsAtItsRate) {
  server_.Start();
  EXPECT_EQ(Run({"--model=cnn@4", "--rate=200", "--duration=1", "--warmup=0.1", "--deadline=3600"}),
            0);
  const nlohmann::json json = Json();
  EXPECT_EQ(json["loop"], "open");
  EXPECT_EQ(json["model"], "models/cnn/versions/4");
  const int expected =
      ArrivalsBefore(absl::Seconds(1.1), 200) - ArrivalsBefore(absl::Seconds(0.1), 200);
  EXPECT_EQ(json["sent"], expected);
  EXPECT_EQ(json["answered"], expected);
}

TEST_F(LoadTest, AnOpenLoopCountsFromWhenARequestShouldHaveBeenSentAndWhatItCouldNotSend) {
  blocked_ = true;
  server_.Start();
  auto connection = *Connection::Create(server_.address());
  v1::ClassifyRequest request;
  request.mutable_raw()->set_pixels("1234");
  LoadOptions options{.rate = 1000, .concurrency = 3, .duration = absl::Milliseconds(300)};
  options.warmup = absl::ZeroDuration();
  options.deadline = absl::Hours(1);
  LoadGenerator generator({connection.get()}, {request}, options);
  // The calls are held up until no more begin: it no longer tells its progress then.
  bool going_on = true;
  const LoadResult result =
      generator.Run({.interrupted =
                         [&] {
                           if (!std::exchange(going_on, false)) Open();
                           return false;
                         },
                     .progress = [&](const LoadProgress&) { going_on = true; }});
  EXPECT_EQ(result.sent, 3);
  EXPECT_EQ(result.answered, 3);
  EXPECT_EQ(result.not_sent, ArrivalsBefore(options.duration, 1000) - 3);
  EXPECT_GE(result.latency.max(), options.duration - PoissonArrivals(1000).Next());
}

TEST_F(LoadTest, CountsFailuresByCodeAndKeepsTheFirstMessage) {
  fail_after_ = 1;
  server_.Start();
  EXPECT_EQ(Run({"cnn", "--concurrency=2", "--duration=0.2", "--warmup=0"}), 1);
  EXPECT_EQ(Json()["answered"], 0);
  EXPECT_GT(Json()["errors"]["RESOURCE_EXHAUSTED"], 0);
  EXPECT_EQ(Json()["failed"], Json()["sent"]);
  EXPECT_EQ(Run({"cnn", "--duration=0.2"}), 1);
  EXPECT_TRUE(absl::StrContains(err_.str(), "Too much.")) << err_.str();
}

TEST_F(LoadTest, DeadlinesEndRequestsAndTheRun) {
  server_.Start();
  auto connection = *Connection::Create(server_.address());
  blocked_ = true;
  LoadOptions options{.concurrency = 2, .duration = absl::Milliseconds(200)};
  options.warmup = absl::ZeroDuration();
  options.deadline = absl::Milliseconds(50);
  const LoadResult result = LoadGenerator({connection.get()}, {{}}, options).Run({});
  EXPECT_GE(result.failures.at(grpc::StatusCode::DEADLINE_EXCEEDED).count, 2);
  EXPECT_EQ(result.answered, 0);
}

// Ten times what any machine sends: the run still ends, and every arrival is in the account.
TEST_F(LoadTest, WhatItIsTooLateToSendHasFailedWithoutACall) {
  server_.Start();
  const int exit_code = Run({"cnn", "--rate=1000000", "--duration=0.3", "--warmup=0",
                             "--deadline=0.001", "--max-in-flight=100000"});
  EXPECT_TRUE(exit_code == 0 || exit_code == 1) << err_.str();
  const nlohmann::json report = Json();
  EXPECT_GT(report["errors"].value("DEADLINE_EXCEEDED", 0), 0);
  EXPECT_LT(calls_, report["sent"].get<int>());
  EXPECT_EQ(report["sent"].get<int>() + report["not_sent"].get<int>(),
            ArrivalsBefore(absl::Seconds(0.3), 1'000'000));
}

TEST_F(LoadTest, CtrlCPrintsWhatWasMeasuredSoFar) {
  server_.Start();
  interrupt_at_ = 100;
  EXPECT_EQ(Run({"cnn", "--duration=3600", "--warmup=0"}), 130);
  EXPECT_EQ(Json()["complete"], false);
  EXPECT_GT(Json()["answered"], 0);
  EXPECT_LT(Json()["seconds"], 3600);
  EXPECT_EQ(Run({"cnn", "--duration=10", "--warmup=3600"}), 130);
  EXPECT_EQ(out_.str(), "");
}

TEST_F(LoadTest, CtrlCGivesUpWhatIsHeldUp) {
  server_.Start();
  auto connection = *Connection::Create(server_.address());
  blocked_ = true;
  LoadOptions options{.concurrency = 2, .duration = absl::Hours(1)};
  options.warmup = absl::ZeroDuration();
  options.deadline = absl::Hours(1);
  LoadGenerator generator({connection.get()}, {{}}, options);
  const LoadResult result = generator.Run({.interrupted = [this] { return calls_ == 2; }});
  EXPECT_EQ(result.given_up, 2);
  EXPECT_TRUE(result.failures.empty());
}

TEST_F(LoadTest, AServerThatIsGoneIsAskedOnlyNowAndThen) {
  server_.Start();
  auto connection = *Connection::Create(server_.address());
  ASSERT_TRUE(connection->WaitUntilReady(absl::Seconds(10)).ok());
  server_.Stop();
  LoadOptions options{.concurrency = 4, .duration = absl::Milliseconds(500)};
  options.warmup = absl::ZeroDuration();
  const LoadResult result = LoadGenerator({connection.get()}, {{}}, options).Run({});
  const auto failures = result.failures.at(grpc::StatusCode::UNAVAILABLE).count;
  EXPECT_GE(failures, 4);
  EXPECT_LE(failures, 4 * 6);
}

TEST_F(LoadTest, TextIsATableAndCsvALine) {
  server_.Start();
  EXPECT_EQ(Run({"cnn", "--concurrency=2", "--duration=0.2", "--warmup=0"}, "text"), 0);
  for (const char* words : {"cnn@4  closed loop, 2 callers, 1 image per request", "requests/s",
                            "p99.9", "latency", "queue", "compute", "rest", "answered"}) {
    EXPECT_TRUE(absl::StrContains(out_.str(), words)) << words << out_.str();
  }
  EXPECT_EQ(Run({"cnn", "--concurrency=2", "--duration=200ms", "--warmup=0s"}, "csv"), 0);
  const std::vector<std::string> lines = absl::StrSplit(out_.str(), '\n');
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(std::count(lines[0].begin(), lines[0].end(), ','),
            std::count(lines[1].begin(), lines[1].end(), ','));
}

TEST(LoadReportTest, NamesFailuresWhatWasNotSentAndVersions) {
  LoadReport report{.model = "models/cnn"};
  report.options.rate = 50;
  LoadResult& result = report.result;
  result.measured = absl::Seconds(10);
  result.sent = 100;
  result.answered = 90;
  result.answered_in_time = 90;
  result.not_sent = 7;
  result.failures[grpc::StatusCode::DEADLINE_EXCEEDED] = {10, "Too \x1b[31mlate."};
  result.versions = {{"models/cnn/versions/1", 40}, {"models/cnn/versions/2", 50}};
  result.latency.Record(absl::Milliseconds(12));
  const std::string text = LoadText(report, Style(false), 80);
  for (const char* words :
       {"9.0 requests/s", "50.0 arrivals/s", "12.0 ms", "10  DEADLINE_EXCEEDED: Too \\x1b[31mlate.",
        "7  64 were already in flight", "by cnn@1", "by cnn@2"}) {
    EXPECT_TRUE(absl::StrContains(text, words)) << words << "\n" << text;
  }
}

TEST_F(LoadTest, WrongFlagsAreOneSentence) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{},
                                             {"cnn", "--rate=0"},
                                             {"cnn", "--rate=-1"},
                                             {"cnn", "--rate=fast"},
                                             {"cnn", "--rate=10", "--concurrency=2"},
                                             {"cnn", "--max-in-flight=2"},
                                             {"cnn", "--images=0"},
                                             {"cnn", "--images=5000"},
                                             {"cnn", "--duration=0"},
                                             {"cnn", "--duration=50ms"},
                                             {"cnn", "--deadline=0"},
                                             {"cnn", "--connections=0"},
                                             {"cnn", "more"},
                                             {"a/b"}}) {
    EXPECT_EQ(Run(arguments, "text"), 1);
    EXPECT_EQ(out_.str(), "");
    EXPECT_TRUE(absl::StartsWith(err_.str(), "atelier: ")) << err_.str();
    EXPECT_EQ(err_.str().find('\n'), err_.str().size() - 1) << err_.str();
  }
  server_.handlers.get_model = [](const auto&, auto*) {
    return ErrorWithReason(grpc::StatusCode::NOT_FOUND, "MODEL_NOT_FOUND", "There is no model.");
  };
  server_.Start();
  EXPECT_EQ(Run({"none"}), 102);
}

}  // namespace
}  // namespace atelier::client
