#include "server/serving/classifier.h"

#include <atomic>
#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/serving/input_error.h"
#include "tests/unit/models/temporary_folder.h"
#include "tests/unit/serving/fakes.h"

namespace atelier::serving {
namespace {

using ::testing::HasSubstr;
using Result = absl::StatusOr<ClassifyResult>;

class ClassifierTest : public testing::Test {
 protected:
  ClassifierTest() {
    folder_.Write("archive", "x");
    source_.Add({"net", 1, folder_.File("archive"), ""});
    source_.Add({"net", 2, folder_.File("archive"), ""});
    source_.Add({"net", 3, folder_.File("missing"), ""});
  }

  EngineLoader Loader() {
    return [this](const Version&) -> EngineResult { return engine_; };
  }

  ClassifyRequest Request() {
    ClassifyRequest request;
    request.model = "net";
    request.input = RawImages{pixels_};
    return request;
  }

  static Later<Result> Ask(Classifier* classifier, ClassifyRequest request) {
    const Later<Result> later;
    classifier->Classify(std::move(request),
                         [later](Result result) { later.Set(std::move(result)); });
    return later;
  }

  models::TemporaryFolder folder_;
  FakeVersions source_;
  const std::shared_ptr<FakeEngine> engine_ = std::make_shared<FakeEngine>();
  const std::vector<std::uint8_t> pixels_ = {3, 0, 5, 0};  // Two images.
};

TEST_F(ClassifierTest, AnswersEveryImageMostProbableClassFirst) {
  Classifier classifier({}, &source_, Loader());
  const Result result = Ask(&classifier, Request()).Wait();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->version->version.model, "net");
  EXPECT_EQ(result->version->version.number, 1);
  EXPECT_EQ(result->version->engine, engine_);
  ASSERT_EQ(result->images, 2);
  ASSERT_EQ(result->Rank(0).size(), 3) << "three classes unless more are asked for";
  EXPECT_EQ(result->Rank(0)[0].index, 3);
  EXPECT_FLOAT_EQ(result->Rank(0)[0].probability, 3.3f);
  EXPECT_EQ(result->Rank(1)[2].index, 1);
  EXPECT_FLOAT_EQ(result->Rank(1)[2].probability, 5.1f);
  EXPECT_GE(result->queue_time, absl::ZeroDuration());
  EXPECT_GT(result->compute_time, absl::ZeroDuration());
  EXPECT_EQ(result->largest_batch, 2);
}

TEST_F(ClassifierTest, ARequestIsFreedWithItsAnswer) {
  auto held = std::make_shared<int>();
  const std::weak_ptr<int> watched = held;
  {
    Classifier classifier({}, &source_, Loader());
    ClassifyRequest request = Request();
    request.cancelled = [held] { return *held != 0; };
    held.reset();
    ASSERT_TRUE(Ask(&classifier, std::move(request)).Wait().ok());
  }
  EXPECT_TRUE(watched.expired());
}

TEST_F(ClassifierTest, AnswersWithAsManyClassesAsAreAskedFor) {
  Classifier classifier({}, &source_, Loader());
  for (const int top_k : {1, 4}) {
    ClassifyRequest request = Request();
    request.top_k = top_k;
    const Result result = Ask(&classifier, std::move(request)).Wait();
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->Rank(0).size(), top_k);
  }
}

TEST_F(ClassifierTest, RefusesMoreClassesThanThereAre) {
  Classifier classifier({}, &source_, Loader());
  for (const int top_k : {-1, 5}) {
    ClassifyRequest request = Request();
    request.top_k = top_k;
    const Result result = Ask(&classifier, std::move(request)).Wait();
    EXPECT_EQ(FieldOf(result.status()), "top_k");
    EXPECT_THAT(std::string(result.status().message()), HasSubstr("1 to 4"));
  }
}

TEST_F(ClassifierTest, CalibratesOnRequestOnly) {
  engine_->fitted_temperature = 2;
  Classifier classifier({}, &source_, Loader());
  const Result plain = Ask(&classifier, Request()).Wait();
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_FALSE(plain->temperature.has_value());
  ClassifyRequest request = Request();
  request.calibrated = true;
  const Result calibrated = Ask(&classifier, std::move(request)).Wait();
  ASSERT_TRUE(calibrated.ok()) << calibrated.status();
  EXPECT_EQ(calibrated->temperature, 2);
  for (std::size_t image = 0; image < 2; ++image) {
    double sum = 0;
    for (const RankedClass& entry : plain->Rank(image, 4)) sum += std::sqrt(entry.probability);
    for (int i = 0; i < 4; ++i) {
      const auto rank = static_cast<std::size_t>(i);
      const RankedClass before = plain->Rank(image, 4)[rank];
      const RankedClass after = calibrated->Rank(image, 4)[rank];
      EXPECT_EQ(after.index, before.index);
      EXPECT_NEAR(after.probability, std::sqrt(before.probability) / sum, 1e-6);
    }
  }
}

TEST_F(ClassifierTest, CannotCalibrateAVersionWithoutATemperature) {
  Classifier classifier({}, &source_, Loader());
  ClassifyRequest request = Request();
  request.calibrated = true;
  const Result result = Ask(&classifier, std::move(request)).Wait();
  EXPECT_TRUE(absl::IsFailedPrecondition(result.status()));
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("net@1"));
  EXPECT_EQ(engine_->runs, 0) << "nothing is computed";
}

TEST_F(ClassifierTest, UsesTheVersionThatIsAskedFor) {
  Classifier classifier({}, &source_, Loader());
  ClassifyRequest request = Request();
  request.reference = "2";
  EXPECT_EQ(Ask(&classifier, std::move(request)).Wait()->version->version.number, 2);
}

TEST_F(ClassifierTest, PassesTheRegistrysErrorsOn) {
  Classifier classifier({}, &source_, Loader());
  ClassifyRequest request = Request();
  request.reference = "9";
  EXPECT_EQ(Ask(&classifier, std::move(request)).Wait().status(),
            absl::NotFoundError("no such version"));
}

TEST_F(ClassifierTest, AVersionWithoutItsArchiveIsUnavailableAndTheOthersServe) {
  Classifier classifier({}, &source_, Loader());
  ClassifyRequest request = Request();
  request.reference = "3";
  const Result result = Ask(&classifier, std::move(request)).Wait();
  EXPECT_EQ(result.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("Version 3 of model net"));
  EXPECT_TRUE(Ask(&classifier, Request()).Wait().ok());
}

TEST_F(ClassifierTest, RefusesBadImagesWithTheirField) {
  Classifier classifier({}, &source_, Loader());
  ClassifyRequest request = Request();
  request.input = RawImages{absl::MakeConstSpan(pixels_).subspan(0, 3)};
  EXPECT_EQ(FieldOf(Ask(&classifier, std::move(request)).Wait().status()), "raw.pixels");
  EXPECT_EQ(engine_->runs, 0);
}

TEST_F(ClassifierTest, RefusesMoreThanTheQueueTakesAndRecovers) {
  absl::Notification gate;
  engine_->gate = &gate;
  Classifier classifier({.max_requests = 2}, &source_, Loader());
  const auto first = Ask(&classifier, Request());
  const auto second = Ask(&classifier, Request());
  const auto third = Ask(&classifier, Request());
  EXPECT_EQ(third.Wait().status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(first.done());
  gate.Notify();
  EXPECT_TRUE(first.Wait().ok());
  EXPECT_TRUE(second.Wait().ok());
  EXPECT_TRUE(Ask(&classifier, Request()).Wait().ok());
}

TEST_F(ClassifierTest, RefusesMoreBytesThanTheQueueTakes) {
  absl::Notification gate;
  engine_->gate = &gate;
  Classifier classifier({.max_bytes = 7}, &source_, Loader());
  const auto first = Ask(&classifier, Request());
  const auto second = Ask(&classifier, Request());
  EXPECT_EQ(second.Wait().status().code(), absl::StatusCode::kResourceExhausted);
  gate.Notify();
  EXPECT_TRUE(first.Wait().ok());
}

TEST_F(ClassifierTest, ComputesNothingForACancelledCall) {
  Classifier classifier({}, &source_, Loader());
  ClassifyRequest request = Request();
  request.cancelled = [] { return true; };
  EXPECT_EQ(Ask(&classifier, std::move(request)).Wait().status().code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(engine_->runs, 0);
}

TEST_F(ClassifierTest, ComputesNothingForACallWhoseDeadlineHasPassed) {
  Classifier classifier({}, &source_, Loader());
  ClassifyRequest request = Request();
  request.deadline = std::chrono::steady_clock::now();
  EXPECT_EQ(Ask(&classifier, std::move(request)).Wait().status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(engine_->runs, 0);
}

TEST_F(ClassifierTest, ACheckOfTheCallersCanRefuse) {
  Classifier classifier({}, &source_, Loader());
  ClassifyRequest request = Request();
  request.check = [](const Engine& engine) {
    return InputError("shape", absl::StrCat("it has ", engine.input_shape().width, " columns"));
  };
  const Result result = Ask(&classifier, std::move(request)).Wait();
  EXPECT_EQ(result.status().message(), "it has 2 columns");
  EXPECT_EQ(engine_->runs, 0);
}

TEST_F(ClassifierTest, DecodesFilesElsewhereAndComputesThem) {
  Classifier classifier({}, &source_, Loader());
  const std::string file = *models::EncodePng({1, 2, 1, {7, 0}});
  ClassifyRequest request = Request();
  request.input = EncodedImages{{file, file, file}};
  const Result result = Ask(&classifier, std::move(request)).Wait();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->images, 3);
  EXPECT_FLOAT_EQ(result->Rank(2)[0].probability, 7.3f);
}

TEST_F(ClassifierTest, DecodingEndsWithTheCall) {
  Classifier classifier({}, &source_, Loader());
  const std::string good = *models::EncodePng({1, 2, 1, {7, 0}});
  // Its last byte is reached by nobody who stops in time.
  const std::string damaged = good.substr(0, good.size() - 1);
  std::atomic<int> asked = 0;
  ClassifyRequest request = Request();
  request.input = EncodedImages{{good, good, good, damaged}};
  request.cancelled = [&asked] { return ++asked > 3; };
  EXPECT_EQ(Ask(&classifier, std::move(request)).Wait().status().code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(asked, 4);
  EXPECT_EQ(engine_->runs, 0);
}

TEST_F(ClassifierTest, CountsWhatItAnswered) {
  Classifier classifier({}, &source_, Loader());
  ASSERT_TRUE(Ask(&classifier, Request()).Wait().ok());
  ClassifyRequest wrong = Request();
  wrong.top_k = 9;
  ASSERT_FALSE(Ask(&classifier, std::move(wrong)).Wait().ok());
  const auto served = classifier.versions().Loaded();
  ASSERT_EQ(served.size(), 1);
  const VersionCounts counts = served[0]->statistics.Read();
  EXPECT_EQ(counts.success.count, 1);
  EXPECT_EQ(counts.fail.count, 1);
  EXPECT_EQ(counts.images, 2);
  ASSERT_EQ(counts.batches.size(), 1);
  EXPECT_EQ(counts.batches.begin()->first, 2);
  EXPECT_GE(counts.success.time, counts.queue.time + counts.compute.time);
}

TEST_F(ClassifierTest, AnEngineThatFailsFailsItsBatchAlone) {
  Classifier classifier({}, &source_, Loader());
  engine_->broken = true;
  EXPECT_EQ(Ask(&classifier, Request()).Wait().status().code(), absl::StatusCode::kInternal);
  engine_->broken = false;
  EXPECT_TRUE(Ask(&classifier, Request()).Wait().ok());
}

TEST_F(ClassifierTest, ServesOthersWhileAVersionLoads) {
  absl::Notification gate;
  Classifier classifier({}, &source_, [&](const Version& version) -> EngineResult {
    if (version.number == 2) gate.WaitForNotification();
    return engine_;
  });
  ASSERT_TRUE(Ask(&classifier, Request()).Wait().ok());
  ClassifyRequest request = Request();
  request.reference = "2";
  const auto waiting = Ask(&classifier, std::move(request));
  EXPECT_TRUE(Ask(&classifier, Request()).Wait().ok());
  EXPECT_FALSE(waiting.done());
  gate.Notify();
  EXPECT_TRUE(waiting.Wait().ok());
}

TEST_F(ClassifierTest, AnswersEveryoneAtItsEnd) {
  std::vector<Later<Result>> answers;
  absl::Notification gate;
  engine_->gate = &gate;
  {
    Classifier classifier({.batching = {.threads = 1}}, &source_, Loader());
    for (int i = 0; i < 5; ++i) answers.push_back(Ask(&classifier, Request()));
    gate.Notify();
  }
  for (const auto& answer : answers) {
    const Result result = answer.Wait();
    EXPECT_TRUE(result.ok() || result.status().code() == absl::StatusCode::kUnavailable);
  }
}

TEST_F(ClassifierTest, ManyThreadsAnswerManyCallers) {
  Classifier classifier({.batching = {.threads = 4}}, &source_, Loader());
  std::vector<Later<Result>> answers;
  for (int i = 0; i < 200; ++i) answers.push_back(Ask(&classifier, Request()));
  for (const auto& answer : answers) EXPECT_TRUE(answer.Wait().ok());
  EXPECT_EQ(engine_->images, 400);
}

}  // namespace
}  // namespace atelier::serving
