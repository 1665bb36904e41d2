#include "server/access/audit_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "models/files/file_io.h"

namespace atelier::access {
namespace {

constexpr char kSuffix[] = ".jsonl";
constexpr mode_t kMode = 0640;

absl::Status Failed(const std::string& path) {
  return absl::UnavailableError(
      absl::StrCat("The audit log ", path, " cannot be written: ", std::strerror(errno), "."));
}

}  // namespace

absl::StatusOr<std::unique_ptr<AuditFiles>> AuditFiles::Open(const Options& options) {
  std::error_code error;
  std::filesystem::create_directories(options.folder, error);
  if (error) {
    return absl::UnavailableError(absl::StrCat("The audit log's folder ", options.folder,
                                               " cannot be made: ", error.message(), "."));
  }
  std::unique_ptr<AuditFiles> files(new AuditFiles(options));
  const std::vector<std::int64_t> numbers = files->Numbers();
  absl::Status status = files->Begin(numbers.empty() ? 1 : numbers.back());
  if (!status.ok()) return status;
  return files;
}

AuditFiles::~AuditFiles() {
  if (descriptor_ >= 0) close(descriptor_);
}

std::string AuditFiles::PathOf(std::int64_t number) const {
  return absl::StrCat(options_.folder, "/", absl::StrFormat("%08d", number), kSuffix);
}

absl::Status AuditFiles::Begin(std::int64_t number) {
  const std::string path = PathOf(number);
  const int opened = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, kMode);
  struct stat info = {};
  if (opened < 0 || fstat(opened, &info) != 0 || !models::SyncPath(options_.folder)) {
    const absl::Status status = Failed(path);
    if (opened >= 0) close(opened);
    return status;
  }
  if (descriptor_ >= 0) close(descriptor_);
  descriptor_ = opened;
  number_ = number;
  size_ = info.st_size;
  RemoveOld();
  // A line that a crash cut is ended, so that the next is one of its own.
  const auto content = size_ > 0 ? Read(number) : absl::StatusOr<std::string>("\n");
  return content.ok() && !content->empty() && content->back() != '\n' ? Append("\n")
                                                                      : absl::OkStatus();
}

absl::Status AuditFiles::Append(const std::string& lines) {
  if (size_ > 0 && size_ + static_cast<std::int64_t>(lines.size()) > options_.file_bytes) {
    if (auto status = Begin(number_ + 1); !status.ok()) return status;
  }
  if (!models::WriteAll(descriptor_, lines) || fdatasync(descriptor_) != 0) {
    const absl::Status status = Failed(PathOf(number_));
    [[maybe_unused]] const int cut = ftruncate(descriptor_, size_);
    return status;
  }
  size_ += static_cast<std::int64_t>(lines.size());
  return absl::OkStatus();
}

void AuditFiles::RemoveOld() const {
  for (const std::int64_t number : Numbers()) {
    if (number <= number_ - options_.files) unlink(PathOf(number).c_str());
  }
}

std::vector<std::int64_t> AuditFiles::Numbers() const {
  std::vector<std::int64_t> numbers;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(options_.folder, error)) {
    std::int64_t number = 0;
    if (entry.path().extension() == kSuffix &&
        absl::SimpleAtoi(entry.path().stem().string(), &number) && number > 0) {
      numbers.push_back(number);
    }
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

absl::StatusOr<std::string> AuditFiles::Read(std::int64_t number) const {
  const std::string path = PathOf(number);
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return absl::NotFoundError(absl::StrCat(path, " is gone."));
  std::string content;
  char buffer[1 << 16];
  ssize_t got = 0;
  // Twice the size of a full file: what is longer is none of ours.
  while ((got = read(file, buffer, sizeof(buffer))) > 0 &&
         static_cast<std::int64_t>(content.size()) < 2 * options_.file_bytes) {
    content.append(buffer, static_cast<std::size_t>(got));
  }
  close(file);
  return content;
}

}  // namespace atelier::access
