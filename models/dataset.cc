#include "models/dataset.h"

#include <algorithm>
#include <array>
#include <exception>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "models/durable_file.h"
#include "models/failure.h"
#include "models/idx_reader.h"
#include "models/sha256.h"

namespace atelier::models {
namespace {

namespace fs = std::filesystem;

constexpr char kClassNamesFile[] = "class_names.json";
constexpr int64_t kMaxClassNamesBytes = 1 << 20;
constexpr size_t kMaxClasses = 256;
// SHA-256 of Fashion-MNIST's 60,000 training labels followed by its 10,000 test labels.
constexpr char kFashionMnistLabels[] =
    "8ab940a680640f36c0bf1d2549cb2f3b3d4068c12547116cc7b1161b1d26663d";

absl::Status BadData(absl::string_view message) {
  return Failure(FailureReason::kBadData, message);
}

enum class Content { kImages, kLabels };

struct Files {
  std::string training_images;
  std::string training_labels;
  std::string test_images;
  std::string test_labels;
};

bool Matches(absl::string_view name, SplitName split, Content content) {
  const bool training = absl::StrContains(name, "train");
  const bool test = absl::StrContains(name, "t10k") || absl::StrContains(name, "test");
  const bool images = absl::StrContains(name, "images") &&
                      (absl::StrContains(name, "idx3") || absl::StrContains(name, "idx4"));
  const bool labels = absl::StrContains(name, "labels") && absl::StrContains(name, "idx1");
  return (absl::EndsWith(name, "ubyte") || absl::EndsWith(name, "ubyte.gz")) &&
         (split == SplitName::kTraining ? training && !test : test && !training) &&
         (content == Content::kImages ? images : labels);
}

absl::StatusOr<std::string> FindFile(const std::string& dir, const std::vector<std::string>& names,
                                     SplitName split, Content content) {
  std::vector<std::string> found;
  for (const std::string& name : names) {
    if (!Matches(absl::AsciiStrToLower(name), split, content)) continue;
    // Plain and gzipped beside each other are one file; names are sorted, the plain one comes
    // first.
    if (!found.empty() && name == found.back() + ".gz") continue;
    found.push_back(name);
  }
  const absl::string_view pattern =
      split == SplitName::kTraining
          ? (content == Content::kImages ? "*train*images*idx3-ubyte[.gz]"
                                         : "*train*labels*idx1-ubyte[.gz]")
          : (content == Content::kImages ? "*t10k*images*idx3-ubyte[.gz] or *test*images*"
                                         : "*t10k*labels*idx1-ubyte[.gz] or *test*labels*");
  if (found.empty()) return BadData(absl::StrCat("the folder ", dir, " has no file ", pattern));
  if (found.size() > 1) {
    return BadData(absl::StrCat("the folder ", dir, " has several files ", pattern, ": ",
                                absl::StrJoin(found, ", "), "; keep one"));
  }
  return (fs::path(dir) / found.front()).string();
}

absl::StatusOr<Files> FindFiles(const std::string& dir) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator entry(dir, error), end; !error && entry != end;
       entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error) {
    return BadData(absl::StrCat("the folder ", dir, " cannot be read: ", error.message()));
  }
  std::sort(names.begin(), names.end());
  Files files;
  for (const auto& [split, content, path] :
       {std::tuple(SplitName::kTraining, Content::kImages, &files.training_images),
        std::tuple(SplitName::kTraining, Content::kLabels, &files.training_labels),
        std::tuple(SplitName::kTest, Content::kImages, &files.test_images),
        std::tuple(SplitName::kTest, Content::kLabels, &files.test_labels)}) {
    absl::StatusOr<std::string> found = FindFile(dir, names, split, content);
    if (!found.ok()) return found.status();
    *path = *std::move(found);
  }
  return files;
}

// N×H×W has one channel; N×C×H×W has what it says.
absl::StatusOr<ImageShape> ShapeOf(const std::string& path, const std::vector<int64_t>& sizes) {
  if (sizes.size() == 3) return ImageShape{1, sizes[1], sizes[2]};
  if (sizes.size() == 4) return ImageShape{sizes[1], sizes[2], sizes[3]};
  return BadData(
      absl::StrCat("cannot use ", path, ": images need 3 or 4 dimensions, it has ", sizes.size()));
}

absl::StatusOr<std::vector<uint8_t>> ReadLabels(const std::string& path, const StopSignal* stop) {
  absl::StatusOr<IdxFile> file = ReadIdx(path, Dataset::kMaxSplitBytes, stop);
  if (!file.ok()) return file.status();
  if (file->dimensions.size() != 1) {
    return BadData(absl::StrCat("cannot use ", path, ": labels need 1 dimension, it has ",
                                file->dimensions.size()));
  }
  return std::move(file->bytes);
}

// The names in class_names.json; empty if there is no such file.
absl::StatusOr<std::vector<std::string>> ReadClassNames(const std::string& dir) {
  const fs::path path = fs::path(dir) / kClassNamesFile;
  std::error_code error;
  if (!fs::exists(path, error)) return std::vector<std::string>();
  absl::StatusOr<std::string> text = ReadWholeFile(path.string(), kMaxClassNamesBytes);
  if (!text.ok()) return BadData(text.status().message());
  std::vector<std::string> names;
  try {
    nlohmann::json::parse(*text).get_to(names);
  } catch (const std::exception&) {
    return BadData(
        absl::StrCat("cannot use ", path.string(), ": it is not a JSON array of strings"));
  }
  if (names.size() < 2 || names.size() > kMaxClasses) {
    return BadData(absl::StrCat("cannot use ", path.string(), ": it has ", names.size(),
                                " names; 2 to ", kMaxClasses, " are possible"));
  }
  if (std::find(names.begin(), names.end(), "") != names.end()) {
    return BadData(absl::StrCat("cannot use ", path.string(), ": a class name is empty"));
  }
  return names;
}

bool IsFashionMnist(const std::vector<uint8_t>& training, const std::vector<uint8_t>& test) {
  if (training.size() != 60000 || test.size() != 10000) return false;
  Sha256 digest;
  digest.Update(training.data(), training.size());
  digest.Update(test.data(), test.size());
  return digest.Finish() == kFashionMnistLabels;
}

// Names the classes, and shifts labels that count from 1 (see the header).
absl::StatusOr<std::vector<std::string>> NameClasses(const std::string& dir,
                                                     std::vector<uint8_t>& training,
                                                     std::vector<uint8_t>& test) {
  absl::StatusOr<std::vector<std::string>> names = ReadClassNames(dir);
  if (!names.ok()) return names;
  if (names->empty() && IsFashionMnist(training, test)) {
    return std::vector<std::string>{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                    "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
  }
  const auto [low, high] = std::minmax_element(training.begin(), training.end());
  const auto [test_low, test_high] = std::minmax_element(test.begin(), test.end());
  const size_t smallest = std::min(*low, *test_low);
  const size_t largest = std::max(*high, *test_high);
  const bool from_one = smallest == 1 && (names->empty() || largest == names->size());
  if (from_one) {
    for (auto* labels : {&training, &test}) {
      for (uint8_t& label : *labels) --label;
    }
  }
  if (names->empty()) {
    for (size_t label = from_one; label <= largest; ++label) names->push_back(absl::StrCat(label));
    if (names->size() < 2) {
      return BadData(
          absl::StrCat("the labels in ", dir, " are all the same; two classes are needed"));
    }
  }
  if (largest - from_one >= names->size()) {
    return BadData(absl::StrCat("label ", largest, " in ", dir, " has no class name; ",
                                (fs::path(dir) / kClassNamesFile).string(), " has ", names->size(),
                                " names"));
  }
  return names;
}

absl::Status CheckPair(const std::string& images, int64_t image_count, const std::string& labels,
                       int64_t label_count) {
  if (image_count == label_count) return absl::OkStatus();
  return BadData(absl::StrCat(images, " has ", image_count, " images but ", labels, " has ",
                              label_count, " labels"));
}

absl::Status CheckShapes(const std::string& training, const ImageShape& shape,
                         const std::string& test, const ImageShape& test_shape) {
  if (shape == test_shape) return absl::OkStatus();
  const auto text = [](const ImageShape& s) {
    return absl::StrCat(s.channels, "x", s.height, "x", s.width);
  };
  return BadData(absl::StrCat(training, " has images of ", text(shape), " but ", test,
                              " has images of ", text(test_shape), " (channels x height x width)"));
}

absl::Status CheckSplit(absl::string_view name, const ImageShape& shape,
                        const LabeledImages& images, size_t classes) {
  if (images.size() == 0) return BadData(absl::StrCat("the ", name, " split is empty"));
  if (static_cast<int64_t>(images.pixels.size()) != images.size() * shape.size()) {
    return BadData(absl::StrCat("the ", name, " split has ", images.pixels.size(),
                                " pixel bytes for ", images.size(), " images of ", shape.size()));
  }
  for (int64_t i = 0; i < images.size(); ++i) {
    if (images.labels[i] < classes) continue;
    return BadData(absl::StrCat("label ", images.labels[i], " of image ", i, " of the ", name,
                                " split has no class name; there are ", classes, " (0 to ",
                                classes - 1, ")"));
  }
  return absl::OkStatus();
}

std::string ChecksumOf(const ImageShape& shape, const LabeledImages& training,
                       const LabeledImages& test) {
  Sha256 digest;
  const std::string sizes = absl::StrCat(shape.channels, "x", shape.height, "x", shape.width, ",",
                                         training.size(), ",", test.size(), "\n");
  digest.Update(sizes.data(), sizes.size());
  for (const LabeledImages* split : {&training, &test}) {
    digest.Update(split->pixels.data(), split->pixels.size());
    digest.Update(split->labels.data(), split->labels.size());
  }
  return digest.Finish();
}

// One split as its two files hold it.
struct RawSplit {
  ImageShape shape;
  int64_t count = 0;
  std::vector<uint8_t> pixels;
  std::vector<uint8_t> labels;

  LabeledImages TakeImages() { return {std::move(pixels), std::move(labels)}; }
};

absl::StatusOr<RawSplit> ReadSplit(const std::string& images_path, const std::string& labels_path,
                                   bool headers_only, const StopSignal* stop) {
  absl::StatusOr<IdxFile> images = headers_only
                                       ? ReadIdxHeader(images_path, Dataset::kMaxSplitBytes)
                                       : ReadIdx(images_path, Dataset::kMaxSplitBytes, stop);
  if (!images.ok()) return images.status();
  absl::StatusOr<ImageShape> shape = ShapeOf(images_path, images->dimensions);
  if (!shape.ok()) return shape.status();
  absl::StatusOr<std::vector<uint8_t>> labels = ReadLabels(labels_path, stop);
  if (!labels.ok()) return labels.status();
  RawSplit split{*shape, images->dimensions[0], std::move(images->bytes), *std::move(labels)};
  const auto label_count = static_cast<int64_t>(split.labels.size());
  if (absl::Status status = CheckPair(images_path, split.count, labels_path, label_count);
      !status.ok()) {
    return status;
  }
  return split;
}

// All that a folder holds, checked except for labels without a class name.
struct RawDataset {
  RawSplit training;
  RawSplit test;
  std::vector<std::string> class_names;
};

absl::StatusOr<RawDataset> ReadFolder(const std::string& dir, bool headers_only,
                                      const StopSignal* stop) {
  absl::StatusOr<Files> files = FindFiles(dir);
  if (!files.ok()) return files.status();
  absl::StatusOr<RawSplit> training =
      ReadSplit(files->training_images, files->training_labels, headers_only, stop);
  if (!training.ok()) return training.status();
  absl::StatusOr<RawSplit> test =
      ReadSplit(files->test_images, files->test_labels, headers_only, stop);
  if (!test.ok()) return test.status();
  if (absl::Status status =
          CheckShapes(files->training_images, training->shape, files->test_images, test->shape);
      !status.ok()) {
    return status;
  }
  absl::StatusOr<std::vector<std::string>> names = NameClasses(dir, training->labels, test->labels);
  if (!names.ok()) return names.status();
  return RawDataset{*std::move(training), *std::move(test), *std::move(names)};
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Dataset>> Dataset::Load(const std::string& dir,
                                                             const StopSignal* stop) {
  absl::StatusOr<RawDataset> raw = ReadFolder(dir, /*headers_only=*/false, stop);
  if (!raw.ok()) return raw.status();
  return Create(raw->training.shape, std::move(raw->class_names), raw->training.TakeImages(),
                raw->test.TakeImages());
}

absl::StatusOr<DatasetInfo> Dataset::ReadInfo(const std::string& dir) {
  absl::StatusOr<RawDataset> raw = ReadFolder(dir, /*headers_only=*/true, nullptr);
  if (!raw.ok()) return raw.status();
  return DatasetInfo{raw->training.shape, std::move(raw->class_names), raw->training.count,
                     raw->test.count};
}

absl::StatusOr<std::vector<std::string>> Dataset::SourceFiles(const std::string& dir) {
  absl::StatusOr<Files> files = FindFiles(dir);
  if (!files.ok()) return files.status();
  std::vector<std::string> paths = {files->training_images, files->training_labels,
                                    files->test_images, files->test_labels};
  std::string names = (fs::path(dir) / kClassNamesFile).string();
  std::error_code error;
  if (fs::exists(names, error)) paths.push_back(std::move(names));
  return paths;
}

absl::StatusOr<std::shared_ptr<const Dataset>> Dataset::Create(ImageShape shape,
                                                               std::vector<std::string> class_names,
                                                               LabeledImages training,
                                                               LabeledImages test) {
  if (absl::Status status = CheckSplit("training", shape, training, class_names.size());
      !status.ok()) {
    return status;
  }
  if (absl::Status status = CheckSplit("test", shape, test, class_names.size()); !status.ok()) {
    return status;
  }
  // The constructor is private: make_shared cannot reach it.
  std::shared_ptr<Dataset> dataset(new Dataset);
  dataset->checksum_ = ChecksumOf(shape, training, test);
  dataset->shape_ = shape;
  dataset->class_names_ = std::move(class_names);
  dataset->training_ = std::move(training);
  dataset->test_ = std::move(test);
  return dataset;
}

absl::Span<const uint8_t> Dataset::Image(SplitName name, int64_t index) const {
  return absl::MakeConstSpan(split(name).pixels)
      .subspan(static_cast<size_t>(index * shape_.size()), static_cast<size_t>(shape_.size()));
}

}  // namespace atelier::models
