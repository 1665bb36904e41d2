#include "server/base/short_address.h"

#include <fcntl.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace atelier {
namespace {

// One less than the array: the path ends with a zero.
constexpr std::size_t kMaxSocketPath = sizeof(sockaddr_un::sun_path) - 1;

}  // namespace

absl::StatusOr<ShortAddress> ShortAddress::Of(const std::string& address) {
  absl::string_view path = address;
  if (!absl::ConsumePrefix(&path, "unix:") || path.size() <= kMaxSocketPath) {
    return ShortAddress(address, -1);
  }
  const std::filesystem::path socket = std::string(path);
  const std::string folder = socket.parent_path();
  const int fd = open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot open the socket's folder ", folder, ": ", strerror(errno)));
  }
  ShortAddress result(absl::StrCat("unix:/proc/self/fd/", fd, "/", socket.filename().string()), fd);
  if (result.text_.size() - sizeof("unix:") + 1 > kMaxSocketPath) {
    return absl::InvalidArgumentError(
        absl::StrCat("the socket's name ", socket.filename().string(), " is too long"));
  }
  return result;
}

ShortAddress::~ShortAddress() {
  if (folder_ >= 0) close(folder_);
}

}  // namespace atelier
