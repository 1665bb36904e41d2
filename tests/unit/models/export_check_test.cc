// Whether archives are found whose files answer otherwise than the network.
#include "models/archive/export_check.h"

#include <map>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/archive/model_archive.h"
#include "models/archive/onnx_export.h"
#include "models/files/tar_gz.h"
#include "models/network/block_network.h"
#include "tests/unit/models/small_training.h"
#include "tests/unit/models/temporary_folder.h"

namespace atelier::models {
namespace {

using testing::HasSubstr;

class ExportCheckTest : public testing::Test {
 protected:
  ExportCheckTest() {
    for (size_t i = 0; i < images_.size(); ++i) images_[i] = static_cast<uint8_t>(37 * i % 256);
  }

  static TrainedModel ModelOf(uint64_t seed) {
    Architecture architecture;
    architecture.network = BlockNetwork{{{8, 2}, {8, 0}}, {5}}.ToNetwork("small");
    architecture.input = {1, 8, 8};
    architecture.classes = 3;
    return TrainedModel::Initial(architecture, seed);
  }

  // An archive of the model, with another file in the place of one of its own.
  void Write(const TrainedModel& model, const std::map<std::string, std::string>& others = {}) {
    TrainingOptions options;
    options.architecture = model.architecture;
    const TrainingOutcome outcome;
    Evaluation evaluation;
    evaluation.confusion.assign(3, std::vector<int64_t>(3));
    evaluation.class_metrics.resize(3);
    const std::vector<std::string> classes = {"a", "b", "c"};
    ASSERT_TRUE(WriteModelArchive(path_, {model, classes, options, outcome, evaluation, "small",
                                          "checksum", "jobs/a", "1"})
                    .ok());
    if (others.empty()) return;
    const auto archive = ReadModelArchive(path_);
    ASSERT_TRUE(archive.ok()) << archive.status();
    std::map<std::string, std::string> entries = others;
    entries.insert({{"metadata.json", archive->metadata_json},
                    {"class_names.json", "[\"a\",\"b\",\"c\"]"},
                    {"metrics.jsonl", archive->metrics_jsonl},
                    {"confusion_matrix.json", archive->confusion_matrix_json},
                    {"model.onnx", archive->model_onnx},
                    {"model.pt", archive->model_pt}});
    std::vector<TarEntry> files;
    for (const auto& [name, bytes] : entries) files.push_back({name, bytes});
    const auto packed = PackTarGz(files);
    ASSERT_TRUE(packed.ok()) << packed.status();
    folder_.Write("model.tar.gz", *packed);
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.File("model.tar.gz");
  std::vector<uint8_t> images_ = std::vector<uint8_t>(5 * 64);
};

TEST_F(ExportCheckTest, FilesOfTheNetworkAnswerAsItDoes) {
  Write(ModelOf(1));
  const auto differences = CheckExports(ModelOf(1), path_, images_);
  ASSERT_TRUE(differences.ok()) << differences.status();
  EXPECT_LT(differences->torchscript, 1e-5);
  EXPECT_LT(differences->onnx, 1e-5);
}

TEST_F(ExportCheckTest, ATorchScriptFileOfOtherWeightsIsNamed) {
  Write(ModelOf(1));
  const auto differences = CheckExports(ModelOf(2), path_, images_);
  EXPECT_EQ(differences.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(differences.status().message()),
              HasSubstr("model.pt does not answer as the network: on 5 images"));
}

TEST_F(ExportCheckTest, AnOnnxFileOfOtherWeightsIsNamed) {
  Write(ModelOf(1), {{"model.onnx", *SerializeOnnx(ModelOf(2), {"a", "b", "c"})}});
  const auto differences = CheckExports(ModelOf(1), path_, images_);
  EXPECT_THAT(std::string(differences.status().message()),
              HasSubstr("model.onnx does not answer as model.pt"));
}

TEST_F(ExportCheckTest, AnOnnxFileThatIsNoneIsNamed) {
  Write(ModelOf(1), {{"model.onnx", "none"}});
  EXPECT_THAT(std::string(CheckExports(ModelOf(1), path_, images_).status().message()),
              HasSubstr("model.onnx cannot be parsed"));
}

}  // namespace
}  // namespace atelier::models
