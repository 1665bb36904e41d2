// Where a command that draws writes its picture. Used by one thread.
#ifndef ATELIER_CLIENT_COMMANDS_PICTURE_TARGET_H_
#define ATELIER_CLIENT_COMMANDS_PICTURE_TARGET_H_

#include <CLI/CLI.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "client/calls/session.h"

namespace atelier::client {

// As it is typed.
struct PictureTarget {
  std::string path;
  bool force = false;
};

// Adds -o and --force to a command, which `target` must outlive.
void AddPictureTarget(CLI::App* command, PictureTarget* target);

// Writes the picture, called `name` unless -o says otherwise, and returns its path. For programs
// only if -o is given.
absl::StatusOr<std::string> WritePicture(const Session& session, const PictureTarget& target,
                                         const std::string& name, const std::string& png);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMMANDS_PICTURE_TARGET_H_
