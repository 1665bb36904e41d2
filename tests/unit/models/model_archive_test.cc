#include "models/archive/model_archive.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/archive/predictor.h"
#include "models/base/failure.h"
#include "models/files/sha256.h"
#include "models/files/tar_gz.h"
#include "models/kernels/fastest_precision.h"
#include "models/network/presets.h"
#include "tests/unit/models/small_training.h"
#include "tests/unit/models/temporary_folder.h"

namespace atelier::models {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

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
  // As older versions wrote them, without ONNX.
  std::map<std::string, std::string> GoodEntries() {
    WriteGood();
    const ModelArchive good = ReadModelArchive(Path()).value();
    return {{"class_names.json", json(good.class_names).dump()},
            {"metadata.json", good.metadata_json},
            {"metrics.jsonl", good.metrics_jsonl},
            {"confusion_matrix.json", good.confusion_matrix_json},
            {"model.pt", good.model_pt}};
  }
  void WriteEntries(const std::map<std::string, std::string>& entries) {
    std::vector<TarEntry> list;
    for (const auto& [name, bytes] : entries) list.push_back({name, bytes});
    folder_.Write("model.tar.gz", PackTarGz(list).value());
  }
  void ExpectBad(const std::string& message) {
    const auto archive = ReadModelArchive(Path());
    ASSERT_FALSE(archive.ok());
    EXPECT_THAT(std::string(archive.status().message()), HasSubstr(Path()));
    EXPECT_THAT(std::string(archive.status().message()), HasSubstr(message));
  }

  TemporaryFolder folder_;
};

TEST_F(ModelArchiveTest, HoldsWhatWasTrained) {
  const ArchiveInfo info = WriteGood();
  EXPECT_EQ(info.sha256, Sha256Of(folder_.Read("model.tar.gz")));
  EXPECT_EQ(info.size_bytes, static_cast<int64_t>(folder_.Read("model.tar.gz").size()));
  const auto archive = ReadModelArchive(Path());
  ASSERT_TRUE(archive.ok()) << archive.status();
  const Trained& trained = Trained::Get();
  EXPECT_EQ(archive->architecture, trained.model.architecture);
  EXPECT_EQ(archive->class_names, SmallDataset()->class_names());
  const json metadata = json::parse(archive->metadata_json);
  EXPECT_EQ(metadata["test_accuracy"], trained.evaluation.accuracy);
  EXPECT_EQ(metadata["parameter_count"], trained.model.architecture.ParameterCount());
  EXPECT_EQ(metadata["best_epoch"], trained.outcome.best_epoch);
  EXPECT_EQ(metadata["seed"], 11);
  EXPECT_EQ(metadata["compute_path"], "kernels");
  EXPECT_EQ(metadata["hyperparameters"]["dropout"], 0.3);
  EXPECT_EQ(metadata["dataset_checksum"], "checksum");
  const json first =
      json::parse(archive->metrics_jsonl.substr(0, archive->metrics_jsonl.find('\n')));
  EXPECT_EQ(first["validation_loss"], trained.outcome.history[0].validation_loss);
  EXPECT_EQ(std::count(archive->metrics_jsonl.begin(), archive->metrics_jsonl.end(), '\n'), 3);
  const json matrix = json::parse(archive->confusion_matrix_json);
  EXPECT_EQ(matrix["rows"][2]["counts"], trained.evaluation.confusion[2]);
}

TEST_F(ModelArchiveTest, HoldsHowItIsCalibrated) {
  WriteGood();
  const ModelArchive archive = ReadModelArchive(Path()).value();
  const Trained& trained = Trained::Get();
  const Evaluation& evaluation = trained.evaluation;
  const Calibration& calibration = *trained.outcome.calibration;
  EXPECT_EQ(archive.temperature, calibration.temperature);
  const json metadata = json::parse(archive.metadata_json);
  EXPECT_EQ(metadata["temperature"], calibration.temperature);
  EXPECT_EQ(metadata["validation_ece"], calibration.validation_ece);
  EXPECT_EQ(metadata["calibrated_validation_ece"], calibration.calibrated_validation_ece);
  EXPECT_EQ(metadata["test_ece"], evaluation.reliability.ece);
  EXPECT_EQ(metadata["calibrated_test_ece"], evaluation.calibrated->ece);
  EXPECT_EQ(metadata["test_top5_accuracy"], *evaluation.top5_accuracy);
  EXPECT_EQ(metadata["test_macro_f1"], evaluation.macro_f1);
  EXPECT_EQ(metadata["test_weighted_f1"], evaluation.weighted_f1);
  const json matrix = json::parse(archive.confusion_matrix_json);
  ASSERT_EQ(matrix["reliability"].size(), 15U);
  EXPECT_EQ(matrix["reliability"][14]["images"], evaluation.reliability.bins[14].images);
  EXPECT_EQ(matrix["reliability"][14]["accuracy"], evaluation.reliability.bins[14].accuracy);
  EXPECT_EQ(matrix["calibrated_reliability"][14]["confidence"],
            evaluation.calibrated->bins[14].confidence);
}

TEST_F(ModelArchiveTest, ChecksTheTemperature) {
  auto entries = GoodEntries();
  json metadata = json::parse(entries["metadata.json"]);
  for (const double wrong : {0.0, -1.0, 20.1}) {
    metadata["temperature"] = wrong;
    entries["metadata.json"] = metadata.dump();
    WriteEntries(entries);
    ExpectBad("it must be 0.05 to 20");
  }
  metadata["temperature"] = "warm";
  entries["metadata.json"] = metadata.dump();
  WriteEntries(entries);
  ExpectBad("JSON is damaged");
  metadata.erase("temperature");
  entries["metadata.json"] = metadata.dump();
  WriteEntries(entries);
  EXPECT_EQ(ReadModelArchive(Path())->temperature, std::nullopt) << "as older versions wrote them";
}

TEST_F(ModelArchiveTest, ReplacesAnOlderOneAndLeavesNothingElse) {
  folder_.Write("model.tar.gz", "old");
  WriteGood();
  EXPECT_TRUE(ReadModelArchive(Path()).ok());
  int files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    ++files;
  }
  EXPECT_EQ(files, 1);
}

TEST_F(ModelArchiveTest, ReportsAFolderThatIsNotThere) {
  const auto info = WriteModelArchive(folder_.File("no/model.tar.gz"), Trained::Get().Contents());
  EXPECT_EQ(ReasonOf(info.status()), FailureReason::kInternal);
  EXPECT_THAT(std::string(info.status().message()), HasSubstr("No such file"));
}

TEST_F(ModelArchiveTest, RefusesClassNamesThatAreNoText) {
  std::vector<std::string> names = SmallDataset()->class_names();
  names[3] = "\xff\xfe";
  const Trained& t = Trained::Get();
  const auto info = WriteModelArchive(
      Path(), {t.model, names, t.options, t.outcome, t.evaluation, "", "", "", ""});
  EXPECT_FALSE(info.ok());
}

TEST_F(ModelArchiveTest, ReportsAMissingAndAForeignFile) {
  ExpectBad("model.tar.gz does not exist");
  folder_.Write("model.tar.gz", "");
  EXPECT_FALSE(ReadModelArchive(Path()).ok());
  folder_.Write("model.tar.gz", "This is text, long enough to be taken for something else.");
  EXPECT_FALSE(ReadModelArchive(Path()).ok());
}

TEST_F(ModelArchiveTest, ReportsTruncationAnywhere) {
  WriteGood();
  const std::string good = folder_.Read("model.tar.gz");
  for (const double part : {0.001, 0.1, 0.5, 0.9}) {
    folder_.Write("model.tar.gz",
                  good.substr(0, static_cast<size_t>(part * static_cast<double>(good.size()))));
    EXPECT_FALSE(ReadModelArchive(Path()).ok()) << part;
  }
}

TEST_F(ModelArchiveTest, ReportsMissingAndForeignEntries) {
  auto entries = GoodEntries();
  auto fewer = entries;
  fewer.erase("model.pt");
  WriteEntries(fewer);
  ExpectBad("lacks the entry model.pt");
  for (const char* name :
       {"../model.pt", "/etc/passwd", "./model.pt", "sub/model.pt", "virus.so"}) {
    auto more = entries;
    more[name] = "bytes";
    WriteEntries(more);
    ExpectBad("does not belong there");
  }
}

TEST_F(ModelArchiveTest, MakesTheOnnxFileThatAnOlderArchiveLacks) {
  WriteGood();
  const ModelArchive archive = ReadModelArchive(Path()).value();
  EXPECT_FALSE(archive.model_onnx.empty());
  EXPECT_EQ(OnnxOf(archive).value(), archive.model_onnx);
  WriteEntries(GoodEntries());
  const ModelArchive older = ReadModelArchive(Path()).value();
  EXPECT_TRUE(older.model_onnx.empty());
  EXPECT_EQ(OnnxOf(older).value(), archive.model_onnx);
  ModelArchive damaged = older;
  damaged.model_pt.resize(damaged.model_pt.size() / 2);
  EXPECT_FALSE(OnnxOf(damaged).ok());
}

TEST_F(ModelArchiveTest, ReportsDamagedJson) {
  const auto entries = GoodEntries();
  const std::vector<std::tuple<std::string, std::string, std::string>> damages = {
      {"metadata.json", "{\"architecture\":", "JSON is damaged"},
      {"metadata.json", "{}", "JSON is damaged"},
      {"metadata.json", "{\"architecture\": {\"name\": 1}}", "architecture cannot be read"},
      {"class_names.json", "{}", "JSON is damaged"},
      {"class_names.json", "[\"a\", \"b\"]", "2 names for 10 classes"}};
  for (const auto& [name, bytes, message] : damages) {
    auto damaged = entries;
    damaged[name] = bytes;
    WriteEntries(damaged);
    ExpectBad(message);
  }
}

// One tar entry, made by hand to hold what libarchive would not write.
std::string RawTarEntry(const std::string& name, char type, const std::string& size,
                        const std::string& data) {
  std::string header(512, '\0');
  header.replace(0, name.size(), name);
  header.replace(100, 7, "0000644");
  header.replace(124, size.size(), size);
  header[156] = type;
  header.replace(157, 8, "model.pt");
  header.replace(257, 8, std::string("ustar\0", 6) + "00");
  header.replace(148, 8, 8, ' ');
  int sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  header.replace(148, 7, absl::StrFormat("%06o", sum) + '\0');
  std::string padded = data;
  padded.resize((data.size() + 511) / 512 * 512);
  return header + padded;
}

TEST_F(ModelArchiveTest, ReportsEntriesThatAreNoPlainFileTwiceOrHuge) {
  const std::string plain = RawTarEntry("metadata.json", '0', "00000000002", "{}");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {RawTarEntry("metadata.json", '2', "00000000000", ""), "metadata.json is no plain file"},
      {RawTarEntry("metadata.json", '1', "00000000000", ""), "metadata.json is no plain file"},
      {RawTarEntry("metadata.json", '5', "00000000000", ""), "metadata.json is no plain file"},
      {RawTarEntry("metadata.json", '3', "00000000000", ""), "metadata.json is no plain file"},
      {plain + plain, "two entries metadata.json"},
      {RawTarEntry("metadata.json", '0', "77777777777", ""), "bytes; at most"},
      {RawTarEntry("model.pt", '0', "10000000000", ""), "model.pt is truncated"}};
  for (const auto& [tar, message] : cases) {
    const std::string bytes = tar + std::string(1024, '\0');
    gzFile file = gzopen(Path().c_str(), "wb");
    gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
    gzclose(file);
    ExpectBad(message);
  }
}

class PredictorTest : public ModelArchiveTest {
 protected:
  PredictorTest() { WriteGood(); }
  static std::vector<uint8_t> TestPixels(int64_t count) {
    const SharedBytes& all = SmallDataset()->test().pixels;
    return {all.begin(), all.begin() + count * 784};
  }
};

// What holds on both paths.
class PredictorPathTest : public PredictorTest, public testing::WithParamInterface<PathChoice> {
 protected:
  absl::StatusOr<std::unique_ptr<const Predictor>> Load() const {
    return Predictor::Load(Path(), Device::kCpu, GetParam());
  }
};

INSTANTIATE_TEST_SUITE_P(All, PredictorPathTest,
                         testing::Values(PathChoice::kAutomatic, PathChoice::kLibTorch),
                         [](const auto& test) {
                           return test.param == PathChoice::kLibTorch ? "LibTorch" : "Kernels";
                         });

TEST_P(PredictorPathTest, AnswersAsTheNetworkDid) {
  const auto predictor = Load();
  ASSERT_TRUE(predictor.ok()) << predictor.status();
  EXPECT_EQ((*predictor)->input_shape(), (ImageShape{1, 28, 28}));
  EXPECT_EQ((*predictor)->path(),
            GetParam() == PathChoice::kLibTorch ? ComputePath::kLibTorch : ComputePath::kKernels);
  const auto probabilities = (*predictor)->Classify(TestPixels(300));
  ASSERT_TRUE(probabilities.ok()) << probabilities.status();
  ASSERT_EQ(probabilities->size(), 3000U);
  for (const Prediction& prediction : Trained::Get().evaluation.predictions) {
    const float* row = &(*probabilities)[static_cast<size_t>(prediction.index * 10)];
    EXPECT_NEAR(row[prediction.predicted_class], prediction.probability, 1e-5);
    EXPECT_NEAR(row[prediction.true_class], prediction.true_probability, 1e-5);
  }
}

TEST_F(PredictorTest, KeepsWeightsInBfloat16IfThatCostsNextToNothing) {
  const auto full = Predictor::Load(Path());
  ASSERT_TRUE(full.ok()) << full.status();
  EXPECT_EQ((*full)->precision(), Precision::kFloat32);
  ArchiveContents contents = Trained::Get().Contents();
  TrainingOutcome outcome = contents.outcome;
  const double accuracy =
      outcome.history[static_cast<size_t>(outcome.best_epoch - 1)].validation_accuracy;
  bool rounds_products = false;
  const auto load_with = [&](double bfloat16_accuracy) {
    outcome.bfloat16_validation = {bfloat16_accuracy, rounds_products};
    const Trained& t = Trained::Get();
    EXPECT_TRUE(WriteModelArchive(Path(), {t.model, contents.class_names, t.options, outcome,
                                           t.evaluation, "", "", "", ""})
                    .ok());
    return Predictor::Load(Path()).value();
  };
  const auto half = load_with(accuracy - 0.001);
  EXPECT_EQ(half->precision(), Precision::kBfloat16);
  EXPECT_LT(half->memory_bytes(), (*full)->memory_bytes());
  const std::vector<float> expected = (*full)->Classify(TestPixels(100)).value();
  const std::vector<float> answers = half->Classify(TestPixels(100)).value();
  EXPECT_NE(answers, expected);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(answers[i], expected[i], 0.02);
  // Products are rounded where that was measured and is faster here.
  rounds_products = true;
  const auto rounded = load_with(accuracy)->Classify(TestPixels(100)).value();
  EXPECT_EQ(rounded != answers, PairsAreFaster());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(rounded[i], expected[i], 0.04);
  EXPECT_EQ(load_with(accuracy - 0.0011)->precision(), Precision::kFloat32);
}

TEST_F(PredictorTest, SaysThatThereIsNoGpu) {
  if (CudaAvailable()) GTEST_SKIP() << "there is one";
  const auto predictor = Predictor::Load(Path(), Device::kCuda);
  EXPECT_EQ(ReasonOf(predictor.status()), FailureReason::kInternal);
}

// What Python gets from model.pt is what Classify answers, for every preset.
TEST_F(PredictorTest, AgreesWithTheTorchScriptOfEveryPreset) {
  const Trained& t = Trained::Get();
  for (const std::string& preset : PresetNames()) {
    const TrainedModel model =
        TrainedModel::Initial(*Architecture::FromPreset(preset, {3, 20, 24}, 10, 0.3), 3);
    ASSERT_TRUE(WriteModelArchive(Path(), {model, SmallDataset()->class_names(), t.options,
                                           t.outcome, t.evaluation, "", "", "", ""})
                    .ok());
    // Load compares the two.
    const auto predictor = Predictor::Load(Path());
    EXPECT_TRUE(predictor.ok()) << preset << ": " << predictor.status();
  }
}

TEST_F(PredictorTest, ReportsANetworkOfAnotherArchive) {
  auto entries = GoodEntries();
  json metadata = json::parse(entries["metadata.json"]);
  metadata["architecture"]["network"]["layers"][2]["batch_norm"]["epsilon"] = 0.5;
  entries["metadata.json"] = metadata.dump();
  WriteEntries(entries);
  const auto predictor = Predictor::Load(Path());
  EXPECT_THAT(std::string(predictor.status().message()), HasSubstr("does not answer as"));
}

TEST_P(PredictorPathTest, TakesFloatsAndBytesInAnyNumber) {
  const auto predictor = Load();
  ASSERT_TRUE(predictor.ok()) << predictor.status();
  const std::vector<uint8_t> bytes = TestPixels(17);
  std::vector<float> floats;
  for (const uint8_t byte : bytes) floats.push_back(static_cast<float>(byte) / 255.0F);
  const auto all = (*predictor)->Classify(bytes);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(*(*predictor)->Classify(floats), *all);
  for (size_t i = 0; i < 17; ++i) {
    const auto one = (*predictor)->Classify(absl::MakeConstSpan(bytes).subspan(i * 784, 784));
    ASSERT_TRUE(one.ok());
    for (size_t c = 0; c < 10; ++c) EXPECT_NEAR((*one)[c], (*all)[i * 10 + c], 1e-5);
  }
}

TEST_P(PredictorPathTest, ServesManyThreadsAtOnce) {
  const auto predictor = Load();
  ASSERT_TRUE(predictor.ok());
  const std::vector<uint8_t> pixels = TestPixels(4);
  const std::vector<float> expected = *(*predictor)->Classify(pixels);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) EXPECT_EQ(*(*predictor)->Classify(pixels), expected);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(PredictorPathTest, RefusesWhatIsNoImage) {
  const auto predictor = Load();
  ASSERT_TRUE(predictor.ok());
  EXPECT_TRUE(absl::IsInvalidArgument((*predictor)->Classify(std::vector<uint8_t>()).status()));
  EXPECT_THAT(std::string((*predictor)->Classify(std::vector<uint8_t>(783)).status().message()),
              HasSubstr("783 pixel values; an image of this model has 784"));
  std::vector<float> pixels(784, 0.5F);
  pixels[5] = std::nanf("");
  EXPECT_TRUE(absl::IsInvalidArgument((*predictor)->Classify(pixels).status()));
}

TEST_F(PredictorTest, ReportsADamagedNetwork) {
  auto entries = GoodEntries();
  entries["model.pt"].resize(entries["model.pt"].size() / 2);
  WriteEntries(entries);
  const auto predictor = Predictor::Load(Path());
  ASSERT_FALSE(predictor.ok());
  EXPECT_THAT(std::string(predictor.status().message()), HasSubstr("cannot use the model archive"));
}

TEST_F(PredictorTest, ReportsANetworkThatDoesNotFitItsMetadata) {
  auto entries = GoodEntries();
  json metadata = json::parse(entries["metadata.json"]);
  metadata["architecture"]["input"]["height"] = 40;
  entries["metadata.json"] = metadata.dump();
  WriteEntries(entries);
  const auto predictor = Predictor::Load(Path());
  EXPECT_THAT(std::string(predictor.status().message()), HasSubstr("dense1_weight"));
}

}  // namespace
}  // namespace atelier::models
