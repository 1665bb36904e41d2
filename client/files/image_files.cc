#include "client/files/image_files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/terminal/display_text.h"

namespace atelier::client {
namespace {

constexpr std::size_t kNamesAtATime = 10'000;

absl::Status Wrong(absl::string_view path, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(EscapeControls(path), ": ", why, "."));
}

}  // namespace

absl::StatusOr<std::string> ReadImage(std::istream& stream, absl::string_view title) {
  std::string bytes;
  std::array<char, 1 << 16> piece{};
  while (stream && bytes.size() <= kMaxImageBytes) {
    stream.read(piece.data(), piece.size());
    bytes.append(piece.data(), static_cast<std::size_t>(stream.gcount()));
  }
  if (stream.bad()) return Wrong(title, "It cannot be read");
  if (bytes.size() > kMaxImageBytes) return Wrong(title, "It is larger than 10 MiB");
  if (bytes.empty()) return Wrong(title, "It is empty");
  const bool png = absl::StartsWith(bytes, "\x89PNG\r\n\x1a\n");
  const bool jpeg = absl::StartsWith(bytes, "\xff\xd8\xff");
  // RIFF, the file's size, WEBP.
  const bool webp = bytes.size() >= 12 && absl::StartsWith(bytes, "RIFF") &&
                    absl::string_view(bytes).substr(8, 4) == "WEBP";
  if (!png && !jpeg && !webp) return Wrong(title, "It is no PNG, JPEG or WebP file");
  return bytes;
}

absl::StatusOr<std::string> ReadImageFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Wrong(path, std::generic_category().message(errno));
  return ReadImage(file, path);
}

std::optional<ImageFiles::File> ImageFiles::Next() {
  while (true) {
    if (levels_.empty()) {
      if (next_path_ == paths_.size()) return std::nullopt;
      const std::string& path = paths_[next_path_++];
      std::error_code error;
      if (!std::filesystem::is_directory(path, error)) return File{path, absl::OkStatus()};
      if (const absl::Status status = Enter(path); !status.ok()) return File{path, status};
      continue;
    }
    Level& level = levels_.back();
    if (level.next == level.names.size()) {
      const std::string folder = level.path;
      const absl::Status status = Refill(&level);
      if (level.names.empty()) levels_.pop_back();
      if (!status.ok()) return File{folder, status};
      continue;
    }
    if (auto file = Look(level.names[level.next++])) return file;
  }
}

absl::Status ImageFiles::Enter(const std::string& folder) {
  std::error_code error;
  std::filesystem::directory_iterator entries(folder, error);
  if (error) return Wrong(folder, error.message());
  levels_.push_back({folder, std::move(entries), {}, 0});
  return absl::OkStatus();
}

absl::Status ImageFiles::Refill(Level* level) {
  level->names.clear();
  level->next = 0;
  std::error_code error;
  while (level->rest != std::filesystem::directory_iterator() &&
         level->names.size() < kNamesAtATime) {
    const std::filesystem::path& path = level->rest->path();
    if (!absl::StartsWith(path.filename().native(), ".")) level->names.push_back(path.native());
    level->rest.increment(error);
    if (error) break;
  }
  std::sort(level->names.begin(), level->names.end());
  return error ? Wrong(level->path, error.message()) : absl::OkStatus();
}

std::optional<ImageFiles::File> ImageFiles::Look(const std::string& path) {
  std::error_code error;
  const auto own = std::filesystem::symlink_status(path, error);
  if (std::filesystem::is_directory(own)) {
    const absl::Status status = Enter(path);
    if (status.ok()) return std::nullopt;
    return File{path, status};
  }
  const auto target = std::filesystem::status(path, error);
  if (std::filesystem::is_directory(target)) return std::nullopt;
  if (std::filesystem::is_regular_file(target)) return File{path, absl::OkStatus()};
  if (error) return File{path, Wrong(path, error.message())};
  if (!std::filesystem::exists(target)) return File{path, Wrong(path, "The link is broken")};
  return File{path, Wrong(path, "It is not a file")};
}

}  // namespace atelier::client
