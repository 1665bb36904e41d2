#include "server/worker/workplace.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/sandbox/sandbox.h"
#include "server/worker/fetched_assignment.h"
#include "server/worker/own_folder.h"
#include "server/worker/walls.h"
#include "spdlog/spdlog.h"

namespace atelier::worker {
namespace {

// A file system on a network may show the server's newest file late.
constexpr absl::Duration kProbePatience = absl::Seconds(5);

}  // namespace

absl::Status Workplace::Prepare(v1::Assignment* assignment, FileLine* line) {
  sees_ = SeesDataDirectory(*assignment,
                            options_.cache_dir.empty() ? kProbePatience : absl::ZeroDuration());
  return sees_ ? absl::OkStatus() : Fetch(assignment, line);
}

absl::Status Workplace::Fetch(v1::Assignment* assignment, FileLine* line) {
  if (options_.cache_dir.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "this machine does not see the server's data directory (", assignment->attempt_dir(),
        "); give the server --worker_cache_dir, a folder for copies, or put its data directory "
        "on a file system that all nodes share"));
  }
  spdlog::info("the server's data directory is not on this machine; files are fetched and sent");
  if (const absl::Status made = MakeOwnFolder(options_.cache_dir); !made.ok()) return made;
  auto work = NodeWork::Create(options_.cache_dir + "/work", options_.name);
  if (!work.ok()) return work.status();
  const std::string folder = (*work)->path();
  {
    absl::MutexLock lock(&mutex_);
    work_ = *std::move(work);
  }
  const NodeCache cache({.dir = options_.cache_dir + "/datasets",
                         .max_bytes = options_.cache_bytes,
                         .stop = options_.stop});
  auto fetched = FetchAssignment(*assignment, line, cache, folder);
  if (!fetched.ok()) return fetched.status();
  *assignment = std::move(fetched->assignment);
  dataset_ = std::move(fetched->dataset);
  return absl::OkStatus();
}

absl::Status Workplace::WallIn(const v1::Assignment& assignment) {
  if (options_.sandboxing == kNoSandbox) {
    spdlog::warn("sandbox: turned off");
    return absl::OkStatus();
  }
  sandbox::Walls walls = WallsOf(assignment, options_.server);
  absl::MutexLock lock(&mutex_);
  if (work_ != nullptr) {
    // To remove it in the end.
    walls.files.writes.push_back(work_->path());
    walls.files.empties.push_back(work_->root());
  }
  for (const std::string& folder : walls.files.writes) {
    std::error_code ignored;
    std::filesystem::create_directories(folder, ignored);
  }
  const sandbox::Standing standing = sandbox::Enter(walls);
  spdlog::info("sandbox: {}", standing.walls);
  if (!standing.complete.ok()) {
    spdlog::warn("sandbox: missing: {}", std::string(standing.complete.message()));
  }
  return options_.sandboxing == kSandboxRequired ? standing.complete : absl::OkStatus();
}

void Workplace::Remove() {
  absl::MutexLock lock(&mutex_);
  if (work_ != nullptr) work_->Remove();
}

}  // namespace atelier::worker
