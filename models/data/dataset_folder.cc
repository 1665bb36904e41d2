#include "models/data/dataset_folder.h"

#include <algorithm>
#include <exception>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <tuple>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "models/base/failure.h"
#include "models/data/dataset_warnings.h"
#include "models/data/stored_labels.h"
#include "models/files/durable_file.h"
#include "models/files/sha256.h"

namespace atelier::models {
namespace {

namespace fs = std::filesystem;

constexpr char kClassNamesFile[] = "class_names.json";
constexpr int64_t kMaxClassNamesBytes = 1 << 20;
constexpr int64_t kPiece = int64_t{1} << 20;
constexpr size_t kFashionMnistClasses = 10;
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
  const absl::string_view bare = absl::StripSuffix(name, ".gz");
  const bool training = absl::StrContains(name, "train");
  const bool test = absl::StrContains(name, "t10k") || absl::StrContains(name, "test");
  const bool images = absl::StrContains(name, "images") &&
                      (absl::StrContains(name, "idx3") || absl::StrContains(name, "idx4"));
  const bool labels = absl::StrContains(name, "labels") &&
                      (absl::StrContains(name, "idx1") || absl::EndsWith(bare, "idx2-int"));
  return (absl::EndsWith(bare, "ubyte") || absl::EndsWith(bare, "idx2-int")) &&
         (split == SplitName::kTraining ? training && !test : test && !training) &&
         (content == Content::kImages ? images : labels);
}

absl::StatusOr<std::string> FindFile(const std::string& dir, const std::vector<std::string>& names,
                                     SplitName split, Content content) {
  std::vector<std::string> found;
  std::string folders;
  for (const std::string& name : names) {
    if (!Matches(absl::AsciiStrToLower(name), split, content)) continue;
    // As unpackers make them: a folder that is named as the file in it.
    std::error_code error;
    if (fs::is_directory(fs::path(dir) / name, error)) {
      absl::StrAppend(&folders, "; ", name, " is a folder");
      continue;
    }
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
  if (found.empty())
    return BadData(absl::StrCat("the folder ", dir, " has no file ", pattern, folders));
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
    // For want of a descriptor nothing is wrong with the folder.
    const bool ours = error == std::errc::too_many_files_open ||
                      error == std::errc::too_many_files_open_in_system;
    return Failure(ours ? FailureReason::kInternal : FailureReason::kBadData,
                   absl::StrCat("the folder ", dir, " cannot be read: ", error.message()));
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
absl::StatusOr<ImageShape> ShapeOf(const IdxReader& file) {
  const std::vector<int64_t>& sizes = file.dimensions();
  if (file.type() != IdxType::kUnsignedByte) {
    return BadData(absl::StrCat("cannot use ", file.path(),
                                ": images are unsigned bytes, it holds 32-bit integers"));
  }
  if (sizes.size() != 3 && sizes.size() != 4) {
    return BadData(absl::StrCat("cannot use ", file.path(),
                                ": images need 3 or 4 dimensions, it has ", sizes.size()));
  }
  const ImageShape shape = sizes.size() == 3 ? ImageShape{1, sizes[1], sizes[2]}
                                             : ImageShape{sizes[1], sizes[2], sizes[3]};
  if (shape.size() > DatasetFolder::kMaxImageBytes || sizes[0] > DatasetFolder::kMaxImages) {
    return BadData(absl::StrCat("cannot use ", file.path(), ": it has ", sizes[0], " images of ",
                                shape.size(), " bytes; at most ", DatasetFolder::kMaxImages,
                                " images of at most ", DatasetFolder::kMaxImageBytes,
                                " bytes are accepted"));
  }
  return shape;
}

// Numbers in a row of labels, of which the first is the class; 0 if they are no labels.
int64_t LabelColumns(const IdxReader& file) {
  const std::vector<int64_t>& sizes = file.dimensions();
  if (sizes.size() == 1) return 1;
  return sizes.size() == 2 && file.type() == IdxType::kInt32 ? sizes[1] : 0;
}

absl::StatusOr<std::vector<ClassLabel>> ReadLabels(IdxReader& file, const StopSignal* stop) {
  const auto count = static_cast<size_t>(file.dimensions()[0]);
  if (file.type() == IdxType::kUnsignedByte) {
    std::vector<uint8_t> bytes(count);
    absl::Status status = file.Read(bytes.data(), file.bytes(), stop);
    if (status.ok()) status = file.Finish();
    if (!status.ok()) return status;
    return std::vector<ClassLabel>(bytes.begin(), bytes.end());
  }
  std::vector<ClassLabel> labels(count);
  std::vector<uint8_t> row(static_cast<size_t>(file.bytes()) / count);
  for (size_t i = 0; i < count; ++i) {
    if (absl::Status status = file.Read(row.data(), static_cast<int64_t>(row.size()), stop);
        !status.ok()) {
      return status;
    }
    const int64_t label = int64_t{row[0]} << 24 | row[1] << 16 | row[2] << 8 | row[3];
    if (label > kMaxClasses) {  // Where labels count from 1, the largest one is the last class.
      return BadData(absl::StrCat("cannot use ", file.path(), ": label ", label, " of image ", i,
                                  " is no class; 0 to ", kMaxClasses - 1, " are possible"));
    }
    labels[i] = static_cast<ClassLabel>(label);
  }
  if (absl::Status status = file.Finish(); !status.ok()) return status;
  return labels;
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
  if (names.size() < 2 || names.size() > size_t{kMaxClasses}) {
    return BadData(absl::StrCat("cannot use ", path.string(), ": it has ", names.size(),
                                " names; 2 to ", kMaxClasses, " are possible"));
  }
  if (std::find(names.begin(), names.end(), "") != names.end()) {
    return BadData(absl::StrCat("cannot use ", path.string(), ": a class name is empty"));
  }
  return names;
}

bool IsFashionMnist(const std::vector<ClassLabel>& training, const std::vector<ClassLabel>& test) {
  if (training.size() != 60000 || test.size() != 10000) return false;
  Sha256 digest;
  for (const auto* labels : {&training, &test}) {
    if (*std::max_element(labels->begin(), labels->end()) >= kFashionMnistClasses) return false;
    const std::vector<uint8_t> bytes = StoreLabels(*labels, kFashionMnistClasses);
    digest.Update(bytes.data(), bytes.size());
  }
  return digest.Finish() == kFashionMnistLabels;
}

// Names the classes, and shifts labels that count from 1 (see the header).
absl::StatusOr<std::vector<std::string>> NameClasses(const std::string& dir,
                                                     std::vector<ClassLabel>& training,
                                                     std::vector<ClassLabel>& test) {
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
      for (ClassLabel& label : *labels) --label;
    }
  }
  if (names->empty()) {
    for (size_t label = from_one; label <= largest; ++label) names->push_back(absl::StrCat(label));
    if (names->size() < 2) {
      return BadData(
          absl::StrCat("the labels in ", dir, " are all the same; two classes are needed"));
    }
    if (names->size() > size_t{kMaxClasses}) {
      return BadData(absl::StrCat("the labels in ", dir, " count to ", largest, ", which are ",
                                  names->size(), " classes; at most ", kMaxClasses,
                                  " are possible"));
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

// Turns rows into columns, in each channel of a square image.
void Transpose(const ImageShape& shape, uint8_t* pixels) {
  for (int64_t c = 0; c < shape.channels; ++c, pixels += shape.height * shape.width) {
    for (int64_t y = 0; y < shape.height; ++y) {
      for (int64_t x = y + 1; x < shape.width; ++x) {
        std::swap(pixels[y * shape.width + x], pixels[x * shape.width + y]);
      }
    }
  }
}

}  // namespace

absl::StatusOr<DatasetFolder::Split> DatasetFolder::OpenSplit(const std::string& images_path,
                                                              const std::string& labels_path,
                                                              const StopSignal* stop) {
  absl::StatusOr<std::unique_ptr<IdxReader>> images =
      IdxReader::Open(images_path, Dataset::kMaxSplitBytes);
  if (!images.ok()) return images.status();
  const absl::StatusOr<ImageShape> shape = ShapeOf(**images);
  if (!shape.ok()) return shape.status();
  absl::StatusOr<std::unique_ptr<IdxReader>> labels =
      IdxReader::Open(labels_path, Dataset::kMaxSplitBytes);
  if (!labels.ok()) return labels.status();
  if (LabelColumns(**labels) == 0) {
    return BadData(absl::StrCat("cannot use ", labels_path, ": labels need 1 dimension, it has ",
                                (*labels)->dimensions().size()));
  }
  // Before memory is taken for labels.
  if (absl::Status status = CheckPair(images_path, (*images)->dimensions()[0], labels_path,
                                      (*labels)->dimensions()[0]);
      !status.ok()) {
    return status;
  }
  absl::StatusOr<std::vector<ClassLabel>> classes = ReadLabels(**labels, stop);
  if (!classes.ok()) return classes.status();
  const std::string name = absl::AsciiStrToLower(fs::path(images_path).filename().string());
  const bool transposed = absl::StartsWith(name, "emnist-") && shape->height == shape->width;
  return Split{*std::move(images), *shape, transposed, *std::move(classes)};
}

absl::StatusOr<DatasetFolder> DatasetFolder::Open(const std::string& dir, const StopSignal* stop) {
  const absl::StatusOr<Files> files = FindFiles(dir);
  if (!files.ok()) return files.status();
  absl::StatusOr<Split> training = OpenSplit(files->training_images, files->training_labels, stop);
  if (!training.ok()) return training.status();
  absl::StatusOr<Split> test = OpenSplit(files->test_images, files->test_labels, stop);
  if (!test.ok()) return test.status();
  if (absl::Status status =
          CheckShapes(files->training_images, training->shape, files->test_images, test->shape);
      !status.ok()) {
    return status;
  }
  absl::StatusOr<std::vector<std::string>> names = NameClasses(dir, training->labels, test->labels);
  if (!names.ok()) return names.status();
  DatasetInfo info = {training->shape, *std::move(names),
                      static_cast<int64_t>(training->labels.size()),
                      static_cast<int64_t>(test->labels.size())};
  return DatasetFolder(std::move(info), *std::move(training), *std::move(test));
}

absl::StatusOr<std::vector<std::string>> DatasetFolder::SourceFiles(const std::string& dir) {
  absl::StatusOr<Files> files = FindFiles(dir);
  if (!files.ok()) return files.status();
  std::vector<std::string> paths = {files->training_images, files->training_labels,
                                    files->test_images, files->test_labels};
  std::string names = (fs::path(dir) / kClassNamesFile).string();
  std::error_code error;
  if (fs::exists(names, error)) paths.push_back(std::move(names));
  return paths;
}

std::string DatasetFolder::ChangeText() const {
  if (!training_.transposed && !test_.transposed) return "";
  return "The images were turned upright, as the files of EMNIST hold them transposed; rename the "
         "files to other than emnist-… if theirs are upright already.";
}

absl::StatusOr<DatasetSummary> DatasetFolder::Read(Sink sink, const StopSignal* stop) {
  DatasetWarnings warnings(info_);
  DatasetDigest digest(info_);
  const int64_t image_bytes = info_.shape.size();
  const auto pass_on = [&](absl::Span<const uint8_t> piece) {
    digest.Update(piece);
    return sink(piece);
  };
  for (const auto& [name, split] :
       {std::pair(SplitName::kTraining, &training_), std::pair(SplitName::kTest, &test_)}) {
    const auto count = static_cast<int64_t>(split->labels.size());
    const int64_t at_once = std::min(count, std::max<int64_t>(1, kPiece / image_bytes));
    std::vector<uint8_t> pixels(static_cast<size_t>(at_once * image_bytes));
    for (int64_t first = 0; first < count; first += at_once) {
      const int64_t images = std::min(at_once, count - first);
      absl::Status status = split->images->Read(pixels.data(), images * image_bytes, stop);
      if (!status.ok()) return status;
      for (int64_t i = 0; i < images; ++i) {
        uint8_t* const image = &pixels[static_cast<size_t>(i * image_bytes)];
        if (split->transposed) Transpose(split->shape, image);
        warnings.Look(name, first + i, split->labels[static_cast<size_t>(first + i)],
                      absl::MakeConstSpan(image, static_cast<size_t>(image_bytes)));
      }
      status =
          pass_on(absl::MakeConstSpan(pixels).first(static_cast<size_t>(images * image_bytes)));
      if (!status.ok()) return status;
    }
    if (absl::Status status = split->images->Finish(); !status.ok()) return status;
    const absl::Status status = pass_on(StoreLabels(split->labels, info_.class_names.size()));
    if (!status.ok()) return status;
  }
  std::vector<std::string> sentences = warnings.Sentences();
  if (std::string change = ChangeText(); !change.empty()) sentences.push_back(std::move(change));
  return DatasetSummary{info_, digest.Finish(), std::move(sentences)};
}

}  // namespace atelier::models
