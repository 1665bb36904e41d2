#include "models/archive/model_archive.h"

#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/base/failure.h"
#include "models/files/sha256.h"
#include "models/files/tar_gz.h"
#include "tests/unit/models/written_archive.h"

namespace atelier::models {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

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

// The same numbers, whichever file they are read from.
TEST_F(ModelArchiveTest, HasTheWeightsInBothFiles) {
  for (const bool onnx : {false, true}) {
    auto entries = GoodEntries(onnx);
    if (onnx) entries["model.pt"] = "not read";
    WriteEntries(entries);
    const auto model = TrainedModelOf(ReadModelArchive(Path()).value());
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_EQ(*model, Trained::Get().model) << "with model.onnx: " << onnx;
  }
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

}  // namespace
}  // namespace atelier::models
