#include "server/transfers/file_places.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "models/files/folder_names.h"

namespace atelier::transfers {
namespace {

using worker::v1::Assignment;
using worker::v1::FileKind;

constexpr std::int64_t kMaxFile = std::int64_t{64} << 30;
// Of an import's file, besides its images.
constexpr std::int64_t kLabelBytes = std::int64_t{1} << 30;
// Twice what a worker writes.
constexpr std::int64_t kMaxLog = std::int64_t{32} << 20;
constexpr std::int64_t kMaxFolds = 1000;
// A damaged one has a predecessor.
constexpr std::size_t kListedCheckpoints = 2;

// The number in a name such as checkpoint-120.ckpt.
std::optional<std::int64_t> NumberIn(const std::string& name, absl::string_view before,
                                     absl::string_view after) {
  absl::string_view digits = name;
  std::int64_t number = 0;
  if (!absl::ConsumePrefix(&digits, before) || !absl::ConsumeSuffix(&digits, after) ||
      !absl::SimpleAtoi(digits, &number) || number < 0) {
    return std::nullopt;
  }
  // Not 007, which would be a second name for 7.
  if (absl::StrCat(number) != digits) return std::nullopt;
  return number;
}

bool IsPlainFile(const std::string& path) {
  struct stat about;
  return lstat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode);
}

using Files = std::map<std::int64_t, std::string>;

// The numbered files of the folders; of one number that in the earliest folder. Errors as
// models::ReadNames.
template <typename Folders>
absl::StatusOr<Files> Numbered(const Folders& folders, absl::string_view before,
                               absl::string_view after) {
  Files found;
  for (const std::string& folder : folders) {
    const auto names = models::ReadNames(folder);
    if (!names.ok()) return names.status();
    for (const std::string& name : *names) {
      const auto number = NumberIn(name, before, after);
      std::string path = absl::StrCat(folder, "/", name);
      if (number.has_value() && IsPlainFile(path)) found.emplace(*number, std::move(path));
    }
  }
  return found;
}

template <typename Folders>
absl::StatusOr<std::vector<FilePlace>> NewestCheckpoints(const Folders& folders) {
  const auto found = Numbered(folders, "checkpoint-", ".ckpt");
  if (!found.ok()) return found.status();
  std::vector<FilePlace> newest;
  for (auto place = found->rbegin(); place != found->rend() && newest.size() < kListedCheckpoints;
       ++place) {
    newest.push_back({place->first, place->second});
  }
  return newest;
}

absl::Status NotAssigned(FileKind kind) {
  return absl::PermissionDeniedError(absl::StrCat("The attempt's assignment has no file of kind ",
                                                  worker::v1::FileKind_Name(kind), " for it."));
}

absl::StatusOr<std::vector<FilePlace>> OnlyOne(FileKind kind, const std::string& path) {
  if (path.empty()) return NotAssigned(kind);
  return std::vector<FilePlace>{{0, path}};
}

}  // namespace

absl::StatusOr<std::vector<FilePlace>> SourcesOf(const Assignment& assignment, FileKind kind) {
  switch (kind) {
    case worker::v1::FILE_KIND_DATASET:
      if (assignment.dataset_file().empty() && !assignment.dataset_dir().empty()) {
        return std::vector<FilePlace>();
      }
      return OnlyOne(kind, assignment.dataset_file());
    case worker::v1::FILE_KIND_START_ARCHIVE:
      return OnlyOne(kind, assignment.start_archive());
    case worker::v1::FILE_KIND_EVALUATION_ARCHIVE:
      return OnlyOne(kind, assignment.evaluation().archive());
    case worker::v1::FILE_KIND_IMPORT_SOURCE:
      return OnlyOne(kind, assignment.import().source());
    case worker::v1::FILE_KIND_CONTINUED_CHECKPOINT:
      if (assignment.continued_dir().empty()) return NotAssigned(kind);
      return NewestCheckpoints(std::vector<std::string>{assignment.continued_dir()});
    case worker::v1::FILE_KIND_CHECKPOINT:
      if (!assignment.has_spec()) return NotAssigned(kind);
      return NewestCheckpoints(assignment.earlier_attempt_dirs());
    case worker::v1::FILE_KIND_FOLD: {
      if (!assignment.has_check()) return NotAssigned(kind);
      std::vector<FilePlace> folds;
      const auto found = Numbered(assignment.earlier_attempt_dirs(), "fold-", "");
      if (!found.ok()) return found.status();
      for (const auto& [number, path] : *found) {
        if (number < kMaxFolds) folds.push_back({number, path});
      }
      return folds;
    }
    default:
      return NotAssigned(kind);
  }
}

absl::StatusOr<std::string> TargetOf(const Assignment& assignment,
                                     const worker::v1::AttemptFile& file) {
  const std::string& folder = assignment.attempt_dir();
  const bool numbered =
      file.kind() == worker::v1::FILE_KIND_CHECKPOINT || file.kind() == worker::v1::FILE_KIND_FOLD;
  if (file.number() < 0 || (!numbered && file.number() != 0) ||
      (file.kind() == worker::v1::FILE_KIND_FOLD && file.number() >= kMaxFolds)) {
    return absl::InvalidArgumentError(absl::StrCat("There is no file ", file.number(), " of kind ",
                                                   worker::v1::FileKind_Name(file.kind()), "."));
  }
  switch (file.kind()) {
    case worker::v1::FILE_KIND_CHECKPOINT:
      if (!assignment.has_spec()) break;
      return CheckpointPath(folder, file.number());
    case worker::v1::FILE_KIND_MODEL_ARCHIVE:
      if (!assignment.has_spec()) break;
      return folder + "/model.tar.gz";
    case worker::v1::FILE_KIND_FOLD:
      if (!assignment.has_check()) break;
      return absl::StrCat(folder, "/fold-", file.number());
    case worker::v1::FILE_KIND_PACKED_DATASET:
      if (!assignment.has_import()) break;
      return folder + "/packed.dataset";
    case worker::v1::FILE_KIND_LOG:
      return folder + "/worker.log";
    default:
      break;
  }
  return NotAssigned(file.kind());
}

std::int64_t LargestOf(const Assignment& assignment, FileKind kind) {
  if (kind == worker::v1::FILE_KIND_LOG) return kMaxLog;
  if (kind != worker::v1::FILE_KIND_PACKED_DATASET) return kMaxFile;
  return assignment.import().max_bytes() + kLabelBytes;
}

std::vector<std::int64_t> CheckpointsIn(const std::string& folder) {
  std::vector<std::int64_t> numbers;
  const auto found = Numbered(std::vector<std::string>{folder}, "checkpoint-", ".ckpt");
  for (const auto& [number, path] : found.value_or(Files())) numbers.push_back(number);
  std::reverse(numbers.begin(), numbers.end());
  return numbers;
}

std::string CheckpointPath(const std::string& folder, std::int64_t number) {
  return absl::StrCat(folder, "/checkpoint-", number, ".ckpt");
}

}  // namespace atelier::transfers
