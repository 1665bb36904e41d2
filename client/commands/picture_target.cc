#include "client/commands/picture_target.h"

#include "client/files/picture_files.h"

namespace atelier::client {

void AddPictureTarget(CLI::App* command, PictureTarget* target) {
  command->add_option("-o,--output-file", target->path, "Target file or folder [current folder]")
      ->type_name("PATH");
  command->add_flag("--force", target->force, "Replace an existing file");
}

absl::StatusOr<std::string> WritePicture(const Session& session, const PictureTarget& target,
                                         const std::string& name, const std::string& png) {
  std::string path = PicturePath(target.path, name);
  if (session.text() || !target.path.empty()) {
    const absl::Status written = WritePictures({{path, png}}, target.force);
    if (!written.ok()) return written;
  }
  return path;
}

}  // namespace atelier::client
