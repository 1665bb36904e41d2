// A small training, and archives that are made of it, good and bad.
#ifndef ATELIER_TESTS_UNIT_MODELS_WRITTEN_ARCHIVE_H_
#define ATELIER_TESTS_UNIT_MODELS_WRITTEN_ARCHIVE_H_

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/archive/model_archive.h"
#include "models/files/tar_gz.h"
#include "tests/unit/models/small_training.h"
#include "tests/unit/models/temporary_folder.h"

namespace atelier::models {

// A trained network, evaluated; made once.
struct Trained {
  TrainingOptions options = SmallOptions();
  TrainingOutcome outcome;
  TrainedModel model;
  Evaluation evaluation;

  static const Trained& Get() {
    static const auto* trained = [] {
      auto* made = new Trained;
      auto trainer = Trainer::Create(made->options, SmallDataset()).value();
      made->outcome = trainer->Run().value();
      made->model = trainer->BestModel().value();
      made->outcome.calibration = trainer->CalibrateBestModel().value();
      EvaluationOptions how;
      how.temperature = made->outcome.calibration->temperature;
      made->evaluation = Evaluate(made->model, *SmallDataset(), SplitName::kTest, how).value();
      return made;
    }();
    return *trained;
  }

  ArchiveContents Contents() const {
    return {model,      SmallDataset()->class_names(),
            options,    outcome,
            evaluation, "fashion-mnist",
            "checksum", "small-20260101",
            "1.2.3"};
  }
};

class ModelArchiveTest : public testing::Test {
 protected:
  std::string Path() const { return folder_.File("model.tar.gz"); }
  ArchiveInfo WriteGood() { return WriteModelArchive(Path(), Trained::Get().Contents()).value(); }
  // As older versions wrote them, without ONNX, unless told otherwise.
  std::map<std::string, std::string> GoodEntries(bool onnx = false) {
    WriteGood();
    const ModelArchive good = ReadModelArchive(Path()).value();
    std::map<std::string, std::string> entries = {
        {"class_names.json", nlohmann::json(good.class_names).dump()},
        {"metadata.json", good.metadata_json},
        {"metrics.jsonl", good.metrics_jsonl},
        {"confusion_matrix.json", good.confusion_matrix_json},
        {"model.pt", good.model_pt}};
    if (onnx) entries["model.onnx"] = good.model_onnx;
    return entries;
  }
  void WriteEntries(const std::map<std::string, std::string>& entries) {
    std::vector<TarEntry> list;
    for (const auto& [name, bytes] : entries) list.push_back({name, bytes});
    folder_.Write("model.tar.gz", PackTarGz(list).value());
  }
  void ExpectBad(const std::string& message) {
    const auto archive = ReadModelArchive(Path());
    ASSERT_FALSE(archive.ok());
    EXPECT_THAT(std::string(archive.status().message()), ::testing::HasSubstr(Path()));
    EXPECT_THAT(std::string(archive.status().message()), ::testing::HasSubstr(message));
  }

  TemporaryFolder folder_;
};

}  // namespace atelier::models

#endif  // ATELIER_TESTS_UNIT_MODELS_WRITTEN_ARCHIVE_H_
