// Pictures as files: writes all or none, and shows PNG if the terminal supports pictures.
// Used by one thread.
#ifndef ATELIER_CLIENT_FILES_PICTURE_FILES_H_
#define ATELIER_CLIENT_FILES_PICTURE_FILES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "client/terminal/terminal.h"

namespace atelier::client {

struct PictureFile {
  std::string path;
  std::string bytes;
};

// Where a picture called `name` goes: into `target` if that is a folder, into the current folder
// if it is empty, otherwise to `target` itself.
std::string PicturePath(const std::string& target, const std::string& name);

// ALREADY_EXISTS if one of the files exists and `replace` is false; otherwise the error of the file
// system. No file has its name before all of them are on disk.
absl::Status WritePictures(const std::vector<PictureFile>& files, bool replace);

// Shows the picture if the terminal supports pictures.
void ShowPicture(const Terminal& terminal, absl::string_view png);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_FILES_PICTURE_FILES_H_
