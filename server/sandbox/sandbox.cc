#include "server/sandbox/sandbox.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace atelier::sandbox {
namespace {

constexpr rlim_t kDescriptors = 1024;

absl::Status Limit(__rlimit_resource_t resource, rlim_t value, absl::string_view what) {
  rlimit limit = {};
  if (getrlimit(resource, &limit) == 0) {
    limit.rlim_max = std::min(limit.rlim_max, value);
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(resource, &limit) == 0) return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat("cannot limit ", what, ": ", std::strerror(errno)));
}

}  // namespace

absl::Status Prepare() {
  close_range(3, ~0U, 0);
  signal(SIGXFSZ, SIG_IGN);
  absl::Status status = Limit(RLIMIT_CORE, 0, "core files");
  status.Update(Limit(RLIMIT_NOFILE, kDescriptors, "descriptors"));
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    status.Update(
        absl::FailedPreconditionError(absl::StrCat("no_new_privs: ", std::strerror(errno))));
  }
  return status;
}

Standing Enter(const Walls& walls) {
  std::vector<std::string> standing;
  std::vector<std::string> missing;
  const auto note = [&](const absl::Status& status, std::string wall) {
    (status.ok() ? standing : missing)
        .push_back(status.ok() ? std::move(wall) : std::string(status.message()));
  };
  note(Limit(RLIMIT_FSIZE, static_cast<rlim_t>(walls.max_file_bytes), "files"),
       absl::StrCat("files of at most ", walls.max_file_bytes, " bytes"));
  const absl::StatusOr<int> abi = RestrictFiles(walls.files);
  note(abi.status(), absl::StrCat("Landlock ABI ", abi.value_or(0)));
  // Last: Landlock's calls are not on the list.
  note(RestrictCalls(walls.calls), "system calls by list");
  Standing result;
  result.walls = absl::StrJoin(standing, ", ");
  if (!missing.empty()) {
    result.complete = absl::FailedPreconditionError(absl::StrJoin(missing, "; "));
  }
  return result;
}

}  // namespace atelier::sandbox
