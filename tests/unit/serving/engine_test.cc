// The real engine on a real archive.
#include "server/serving/engine.h"

#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/model_archive.h"
#include "tests/unit/models/temporary_folder.h"

namespace atelier::serving {
namespace {

using ::testing::Each;
using ::testing::FloatNear;
using ::testing::HasSubstr;

constexpr std::int64_t kClasses = 3;

models::NamedTensor Tensor(std::string name, std::vector<std::int64_t> shape, float value) {
  std::size_t size = 1;
  for (const std::int64_t extent : shape) size *= static_cast<std::size_t>(extent);
  return {std::move(name), std::move(shape), std::vector<float>(size, value)};
}

// A dense network without weights: its answer is the output's biases, whatever the image.
models::TrainedModel Network() {
  models::TrainedModel model;
  model.architecture.input = {1, 2, 2};
  model.architecture.classes = kClasses;
  model.architecture.dense_layers = {2};
  model.tensors = {Tensor("dense1.weight", {2, 4}, 0), Tensor("dense1.bias", {2}, 0),
                   Tensor("output.weight", {kClasses, 2}, 0), Tensor("output.bias", {kClasses}, 1)};
  return model;
}

class EngineTest : public testing::Test {
 protected:
  EngineTest() {
    const models::TrainedModel model = Network();
    const std::vector<std::string> classes = {"shirt", "bag", "boot"};
    models::TrainingOptions options;
    options.architecture = model.architecture;
    models::Evaluation evaluation;
    evaluation.confusion.assign(kClasses, std::vector<std::int64_t>(kClasses));
    evaluation.class_metrics.resize(kClasses);
    const models::TrainingOutcome outcome;
    const auto info = models::WriteModelArchive(
        version_.archive_path,
        {model, classes, options, outcome, evaluation, "small", "checksum", "jobs/a", "1"});
    EXPECT_TRUE(info.ok()) << info.status();
    if (info.ok()) version_.sha256 = info->sha256;
  }

  models::TemporaryFolder folder_;
  Version version_ = {"net", 1, folder_.File("model.tar.gz"), ""};
};

TEST_F(EngineTest, AnswersForAnyNumberOfImages) {
  const auto engine = LoadEngine(version_);
  ASSERT_TRUE(engine.ok()) << engine.status();
  EXPECT_EQ((*engine)->input_shape(), (models::ImageShape{1, 2, 2}));
  for (const std::size_t count : {1, 7, 32, 33, 100}) {
    const std::vector<std::uint8_t> bytes(count * 4, 9);
    const auto answer = (*engine)->Classify(absl::MakeConstSpan(bytes));
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->size(), count * kClasses);
    EXPECT_THAT(*answer, Each(FloatNear(1.0f / kClasses, 1e-6f)));
    const std::vector<float> floats(count * 4, 0.5f);
    EXPECT_EQ((*engine)->Classify(absl::MakeConstSpan(floats))->size(), count * kClasses);
  }
}

TEST_F(EngineTest, AnArchiveWithAnotherChecksumIsUnavailable) {
  version_.sha256.front() = version_.sha256.front() == '0' ? '1' : '0';
  const auto engine = LoadEngine(version_);
  EXPECT_EQ(engine.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(engine.status().message()), HasSubstr("SHA-256"));
}

TEST_F(EngineTest, AMissingArchiveIsUnavailable) {
  version_.archive_path += ".gone";
  EXPECT_EQ(LoadEngine(version_).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace atelier::serving
