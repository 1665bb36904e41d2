#include "server/worker/walls.h"

#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"

namespace atelier::worker {
namespace {

// Beyond the largest unpacked data set and archive that there can be.
constexpr std::int64_t kMaxFileBytes = std::int64_t{64} << 30;
// Of an import's file, besides its images.
constexpr std::int64_t kLabelBytes = std::int64_t{1} << 30;

int PortOf(absl::string_view address) {
  int port = 0;
  if (absl::StartsWith(address, "unix:") ||
      !absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port)) {
    return 0;
  }
  return port;
}

}  // namespace

sandbox::Walls WallsOf(const v1::Assignment& assignment, const ServerLine& server) {
  sandbox::Walls walls;
  const auto read = [&](const std::string& path) {
    if (!path.empty()) walls.files.reads.push_back(path);
  };
  read(server.certificate);
  read(assignment.dataset_dir());
  read(assignment.dataset_file());
  read(assignment.start_archive());
  read(assignment.continued_dir());
  read(assignment.evaluation().archive());
  read(assignment.import().source());
  for (const std::string& folder : assignment.earlier_attempt_dirs()) read(folder);
  walls.files.writes.push_back(assignment.attempt_dir());
  if (!assignment.dataset_cache_dir().empty()) {
    walls.files.writes.push_back(assignment.dataset_cache_dir());
  }
  walls.files.tcp_port = PortOf(server.address);
  walls.calls.network = walls.files.tcp_port != 0;
  walls.files.gpu = assignment.spec().device() == atelier::v1::DEVICE_CUDA;
  walls.calls.gpu = walls.files.gpu;
  walls.calls.makes_code = !assignment.has_import();
  walls.max_file_bytes =
      assignment.has_import() ? assignment.import().max_bytes() + kLabelBytes : kMaxFileBytes;
  return walls;
}

}  // namespace atelier::worker
