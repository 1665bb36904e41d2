#include "client/files/picture_files.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "client/files/new_file.h"
#include "client/terminal/inline_picture.h"

namespace atelier::client {

std::string PicturePath(const std::string& target, const std::string& name) {
  std::error_code ignored;
  const std::filesystem::path path(target);
  if (!target.empty() && !std::filesystem::is_directory(path, ignored)) return target;
  return (path / name).string();
}

absl::Status WritePictures(const std::vector<PictureFile>& files, bool replace) {
  std::vector<NewFile> written;
  for (const PictureFile& file : files) {
    std::error_code ignored;
    const auto there = std::filesystem::symlink_status(file.path, ignored);
    if (!replace && std::filesystem::exists(there)) return FileExists(file.path);
    auto made = NewFile::Create(file.path);
    if (!made.ok()) return made.status();
    if (absl::Status status = made->Write(file.bytes); !status.ok()) return status;
    written.push_back(*std::move(made));
  }
  for (NewFile& file : written) {
    if (absl::Status status = file.Commit(replace); !status.ok()) return status;
  }
  return absl::OkStatus();
}

void ShowPicture(const Terminal& terminal, absl::string_view png) {
  if (terminal.interactive) terminal.out << InlinePicture(terminal.pictures, png);
}

}  // namespace atelier::client
