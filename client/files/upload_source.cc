#include "client/files/upload_source.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/terminal/display_text.h"
#include "models/files/sha256.h"
#include "models/files/tar_header.h"

namespace atelier::client {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kBlock = 512;
constexpr std::size_t kMaxFiles = 5'000'000;
constexpr std::size_t kMaxNameBytes = 1024;
constexpr std::size_t kMaxSourceName = 255;
constexpr std::size_t kDigestPiece = std::size_t{1} << 20;

absl::Status Unsendable(absl::string_view path, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(EscapeControls(path), ": ", why, "."));
}

absl::Status SystemError(absl::string_view path, int error) {
  return Unsendable(path, std::generic_category().message(error));
}

std::int64_t RoundUp(std::int64_t size) { return (size + kBlock - 1) / kBlock * kBlock; }

// The last part of a path, for a folder as well.
std::string LastPart(const std::string& path) {
  std::error_code error;
  fs::path absolute = fs::absolute(path, error).lexically_normal();
  if (!absolute.has_filename()) absolute = absolute.parent_path();
  return absolute.filename().string();
}

}  // namespace

absl::StatusOr<UploadSource> UploadSource::Open(const std::vector<std::string>& paths) {
  UploadSource source;
  for (const std::string& path : paths) {
    std::error_code error;
    const fs::file_status about = fs::status(path, error);
    if (error) return SystemError(path, error.value());
    // A single file is sent as it is, the contents of a single folder without its name.
    const std::string own_name = paths.size() > 1 ? LastPart(path) : "";
    const bool folder = fs::is_directory(about);
    absl::Status status =
        folder ? source.AddFolder(path, own_name.empty() ? "" : absl::StrCat(own_name, "/"))
               : source.AddFile(path, own_name);
    if (!status.ok()) return status;
    if (folder && source.entries_.empty()) return Unsendable(path, "The folder has no files");
  }
  if (source.entries_.empty()) return absl::InvalidArgumentError("Name the files to be pushed.");
  if (absl::Status status = source.Arrange(); !status.ok()) return status;
  source.name_ = LastPart(paths[0]);
  if (paths.size() > 1) absl::StrAppend(&source.name_, " and ", paths.size() - 1, " more");
  // The limit may fall between the bytes of one character.
  source.name_ = EscapeControls(source.name_.substr(0, kMaxSourceName));
  return source;
}

absl::Status UploadSource::AddFolder(const std::string& folder, const std::string& prefix) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string path = entry->path().string();
    const std::string name = entry->path().filename().string();
    if (absl::StartsWith(name, ".")) continue;
    const fs::file_status about = entry->symlink_status(error);
    if (error) break;
    if (fs::is_symlink(about)) {
      return Unsendable(path, "It is a link, which cannot be pushed; put the file in its place");
    }
    const absl::Status status = fs::is_directory(about)
                                    ? AddFolder(path, absl::StrCat(prefix, name, "/"))
                                    : AddFile(path, prefix + name);
    if (!status.ok()) return status;
  }
  return error ? SystemError(folder, error.value()) : absl::OkStatus();
}

absl::Status UploadSource::AddFile(const std::string& path, const std::string& name) {
  std::error_code error;
  if (!fs::is_regular_file(path, error))
    return Unsendable(path, "It is neither a file nor a folder");
  if (access(path.c_str(), R_OK) != 0) return SystemError(path, errno);
  const auto size = fs::file_size(path, error);
  if (error) return SystemError(path, error.value());
  if (name.size() > kMaxNameBytes) return Unsendable(path, "Its name is too long");
  if (entries_.size() == kMaxFiles) {
    return absl::InvalidArgumentError(absl::StrCat(
        "There are more than ", kMaxFiles, " files; push an archive, or arrays, in their place."));
  }
  entries_.push_back({path, name, static_cast<std::int64_t>(size)});
  return absl::OkStatus();
}

absl::Status UploadSource::Arrange() {
  if (entries_.size() == 1 && entries_[0].name.empty()) {
    size_ = entries_[0].size;
    return size_ > 0 ? absl::OkStatus() : Unsendable(entries_[0].path, "The file is empty");
  }
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    if (i > 0 && entry.name == entries_[i - 1].name) {
      return Unsendable(entry.path, absl::StrCat("It would have the same name as ",
                                                 EscapeControls(entries_[i - 1].path)));
    }
    entry.begin = size_;
    entry.data =
        size_ + static_cast<std::int64_t>(models::TarHeader(entry.name, entry.size).size());
    size_ = entry.data + RoundUp(entry.size);
  }
  // Two blocks of zeros end an archive.
  size_ += 2 * kBlock;
  return absl::OkStatus();
}

absl::StatusOr<std::size_t> UploadSource::ReadEntry(const Entry& entry, std::int64_t offset,
                                                    char* to, std::size_t size) {
  if (offset < entry.data) {
    const std::string header = models::TarHeader(entry.name, entry.size);
    const auto begin = static_cast<std::size_t>(offset - entry.begin);
    const std::size_t count = std::min(size, header.size() - begin);
    std::copy_n(header.data() + begin, count, to);
    return count;
  }
  const std::int64_t left = entry.size - (offset - entry.data);
  if (left <= 0) {
    // Up to the next block.
    const std::int64_t zeros = entry.data + RoundUp(entry.size) - offset;
    const std::size_t count = std::min(size, static_cast<std::size_t>(zeros));
    std::fill_n(to, count, '\0');
    return count;
  }
  if (open_entry_ != &entry) {
    auto file = models::RegularFile::Open(entry.path);
    if (!file.ok()) return Unsendable(entry.path, file.status().message());
    open_file_.emplace(*std::move(file));
    open_entry_ = &entry;
  }
  const std::size_t count = std::min(size, static_cast<std::size_t>(left));
  const absl::Status read = open_file_->ReadExactly(offset - entry.data, to, count);
  if (!read.ok()) return Unsendable(entry.path, "It changed while it was read");
  return count;
}

absl::Status UploadSource::Read(std::int64_t offset, char* to, std::size_t size) {
  while (size > 0) {
    // The last entry that begins there or before.
    const auto next = std::upper_bound(
        entries_.begin(), entries_.end(), offset,
        [](std::int64_t value, const Entry& entry) { return value < entry.begin; });
    const Entry& entry = *(next - 1);
    const bool single = entry.name.empty();
    std::size_t count = 0;
    if (single || offset < entry.data + RoundUp(entry.size)) {
      const auto read = ReadEntry(entry, offset, to, size);
      if (!read.ok()) return read.status();
      count = *read;
    } else {
      count = size;
      std::fill_n(to, count, '\0');
    }
    offset += static_cast<std::int64_t>(count);
    to += count;
    size -= count;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> UploadSource::Sha256(const std::function<void(std::int64_t)>& progress,
                                                 const std::function<bool()>& interrupted) {
  models::Sha256 sha256;
  std::string piece(kDigestPiece, '\0');
  for (std::int64_t at = 0; at < size_;) {
    if (interrupted()) return absl::CancelledError("Interrupted; nothing was sent.");
    const std::size_t count = std::min(kDigestPiece, static_cast<std::size_t>(size_ - at));
    if (absl::Status status = Read(at, piece.data(), count); !status.ok()) return status;
    sha256.Update(piece.data(), count);
    at += static_cast<std::int64_t>(count);
    progress(at);
  }
  return sha256.Finish();
}

}  // namespace atelier::client
