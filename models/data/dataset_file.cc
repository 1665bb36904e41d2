#include "models/data/dataset_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/types/span.h"
#include "models/base/check_stop.h"
#include "models/base/json_integer.h"
#include "models/data/stored_labels.h"
#include "models/files/file_io.h"
#include "models/files/sha256.h"

namespace atelier::models {
namespace {

// The magic word, 64 digits, 8 digits, blanks between them, a line's end.
constexpr int64_t kLineBytes =
    static_cast<int64_t>(DatasetFile::kMagic.size()) + 1 + 64 + 1 + 8 + 1;
static_assert(DatasetFile::kMagic.size() == DatasetFile::kWideMagic.size());
constexpr int64_t kMaxFooterBytes = 99'999'999;
constexpr int64_t kPiece = int64_t{1} << 20;

absl::Status Append(int descriptor, const std::string& path, absl::string_view bytes) {
  if (WriteAll(descriptor, bytes)) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("writing ", path, " failed: ", std::strerror(errno)));
}

absl::string_view MagicOf(const DatasetInfo& info) {
  return info.label_bytes() == 1 ? DatasetFile::kMagic : DatasetFile::kWideMagic;
}

std::string FooterText(const DatasetSummary& summary) {
  const DatasetInfo& info = summary.info;
  const std::string json = nlohmann::json{
      {"shape", {info.shape.channels, info.shape.height, info.shape.width}},
      {"training_images", info.training_images},
      {"test_images", info.test_images},
      {"validation_images", info.validation_images},
      {"class_names", info.class_names},
      {"checksum", summary.checksum},
      {"warnings",
       summary.warnings}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return absl::StrCat(json, MagicOf(info), " ", Sha256Of(json),
                      absl::StrFormat(" %08d\n", json.size()));
}

// Throws nlohmann's exceptions.
DatasetSummary ParseFooter(const std::string& json) {
  DatasetSummary summary;
  const auto fields = nlohmann::json::parse(json);
  const nlohmann::json& sizes = fields.at("shape");
  summary.info.shape = {IntegerOf(sizes.at(0), "shape"), IntegerOf(sizes.at(1), "shape"),
                        IntegerOf(sizes.at(2), "shape")};
  summary.info.training_images = IntegerAt(fields, "training_images");
  summary.info.test_images = IntegerAt(fields, "test_images");
  // Files that were written before data sets had validation splits lack it.
  summary.info.validation_images = IntegerOr(fields, "validation_images", 0);
  fields.at("class_names").get_to(summary.info.class_names);
  fields.at("checksum").get_to(summary.checksum);
  fields.at("warnings").get_to(summary.warnings);
  return summary;
}

// A file's first bytes, as long as this lives.
class Mapping {
 public:
  Mapping(int descriptor, size_t size)
      : bytes_(mmap(nullptr, size, PROT_READ, MAP_SHARED | MAP_POPULATE, descriptor, 0)),
        size_(size) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (good()) munmap(bytes_, size_);
  }

  bool good() const { return bytes_ != MAP_FAILED; }
  absl::Span<const uint8_t> bytes() const { return {static_cast<const uint8_t*>(bytes_), size_}; }

 private:
  void* const bytes_;
  const size_t size_;
};

}  // namespace

absl::Status DatasetFile::Write(int descriptor, const std::string& path, DatasetFolder* folder,
                                const StopSignal* stop) {
  const absl::StatusOr<DatasetSummary> summary = folder->Read(
      [&](absl::Span<const uint8_t> piece) {
        return Append(descriptor, path,
                      {reinterpret_cast<const char*>(piece.data()), piece.size()});
      },
      stop);
  if (!summary.ok()) return summary.status();
  return Append(descriptor, path, FooterText(*summary));
}

absl::Status DatasetFile::Seal(int descriptor, const std::string& path,
                               const DatasetSummary& summary) {
  const int64_t size = summary.info.bytes();
  if (ftruncate(descriptor, size) != 0 || lseek(descriptor, size, SEEK_SET) != size) {
    return absl::UnavailableError(
        absl::StrCat("writing ", path, " failed: ", std::strerror(errno)));
  }
  return Append(descriptor, path, FooterText(summary));
}

absl::StatusOr<DatasetFile> DatasetFile::Open(const std::string& path) {
  absl::StatusOr<RegularFile> regular = RegularFile::Open(path);
  if (!regular.ok()) return regular.status();
  DatasetFile file(path, *std::move(regular));
  if (absl::Status status = file.ReadFooter(); !status.ok()) return status;
  return file;
}

absl::Status DatasetFile::Damaged(absl::string_view what) const {
  return absl::DataLossError(absl::StrCat("the cached data set ", path_, " is not usable: ", what));
}

absl::Status DatasetFile::ReadFooter() {
  std::string line(static_cast<size_t>(kLineBytes), '\0');
  int64_t length = 0;
  if (file_.size() < kLineBytes ||
      !file_.ReadExactly(file_.size() - kLineBytes, line.data(), line.size()).ok()) {
    return Damaged("it is too short");
  }
  const std::vector<std::string> words =
      absl::StrSplit(absl::string_view(line).substr(0, line.size() - 1), ' ');
  if (words.size() != 3 || (words[0] != kMagic && words[0] != kWideMagic) || line.back() != '\n' ||
      !absl::SimpleAtoi(words[2], &length) || length < 0 || length > kMaxFooterBytes ||
      length > file_.size() - kLineBytes) {
    return Damaged("its last line is damaged");
  }
  std::string json(static_cast<size_t>(length), '\0');
  if (!file_.ReadExactly(file_.size() - kLineBytes - length, json.data(), json.size()).ok() ||
      Sha256Of(json) != words[1]) {
    return Damaged("its footer is damaged");
  }
  try {
    summary_ = ParseFooter(json);
  } catch (const std::exception& error) {
    return Damaged(absl::StrCat("its footer is of no use: ", error.what()));
  }
  if (words[0] != MagicOf(summary_.info)) return Damaged("its labels are not as its classes need");
  const int64_t expected = summary_.info.bytes() + length + kLineBytes;
  if (expected == file_.size()) return absl::OkStatus();
  return Damaged(absl::StrCat("it has ", file_.size(), " bytes instead of ", expected));
}

absl::Status DatasetFile::Verify(const StopSignal* stop) const {
  DatasetDigest digest(summary_.info);
  std::vector<uint8_t> piece(static_cast<size_t>(kPiece));
  for (int64_t at = 0; at < summary_.info.bytes();) {
    if (absl::Status status = CheckStop(stop, "reading the data"); !status.ok()) return status;
    const auto size = static_cast<size_t>(std::min(kPiece, summary_.info.bytes() - at));
    const absl::Status read = file_.ReadExactly(at, piece.data(), size);
    if (!read.ok()) return Damaged(read.message());
    digest.Update(absl::MakeConstSpan(piece).first(size));
    at += static_cast<int64_t>(size);
  }
  if (digest.Finish() == summary_.checksum) return absl::OkStatus();
  return Damaged("its bytes do not have its checksum");
}

absl::StatusOr<std::shared_ptr<const Dataset>> DatasetFile::Map() const {
  const auto mapping = std::make_shared<const Mapping>(file_.descriptor(),
                                                       static_cast<size_t>(summary_.info.bytes()));
  if (!mapping->good()) return Damaged("it cannot be mapped");
  absl::StatusOr<std::shared_ptr<const Dataset>> dataset =
      Dataset::Create(summary_, SharedBytes(mapping, mapping->bytes()));
  if (!dataset.ok()) return Damaged(dataset.status().message());
  return dataset;
}

int64_t DatasetFile::PixelsAt(SplitName split) const {
  const DatasetInfo& info = summary_.info;
  return split == SplitName::kTraining
             ? 0
             : info.training_images * (info.shape.size() + info.label_bytes());
}

int64_t DatasetFile::LabelsAt(SplitName split) const {
  const DatasetInfo& info = summary_.info;
  const bool training = split == SplitName::kTraining;
  const int64_t images = training ? info.training_images : info.test_images;
  return PixelsAt(split) + images * info.shape.size();
}

absl::StatusOr<DatasetFile::Image> DatasetFile::ReadImage(SplitName split, int64_t index) const {
  auto pixels = ReadPixels(split, index, 1);
  if (!pixels.ok()) return pixels.status();
  const auto label = ReadSomeLabels(split, index, 1);
  if (!label.ok()) return label.status();
  return Image{*std::move(pixels), label->front()};
}

absl::StatusOr<std::vector<uint8_t>> DatasetFile::ReadPixels(SplitName split, int64_t index,
                                                             int64_t count) const {
  const int64_t size = summary_.info.shape.size();
  std::vector<uint8_t> pixels(static_cast<size_t>(count * size));
  const absl::Status read =
      file_.ReadExactly(PixelsAt(split) + index * size, pixels.data(), pixels.size());
  if (!read.ok()) return Damaged(read.message());
  return pixels;
}

absl::StatusOr<std::vector<ClassLabel>> DatasetFile::ReadSomeLabels(SplitName split, int64_t index,
                                                                    int64_t count) const {
  const DatasetInfo& info = summary_.info;
  std::vector<uint8_t> bytes(static_cast<size_t>(count * info.label_bytes()));
  const absl::Status read =
      file_.ReadExactly(LabelsAt(split) + index * info.label_bytes(), bytes.data(), bytes.size());
  if (!read.ok()) return Damaged(read.message());
  return LoadLabels(bytes, info.class_names.size());
}

absl::StatusOr<std::vector<ClassLabel>> DatasetFile::ReadLabels(SplitName split) const {
  const DatasetInfo& info = summary_.info;
  const bool training = split == SplitName::kTraining;
  return ReadSomeLabels(split, 0, training ? info.training_images : info.test_images);
}

}  // namespace atelier::models
