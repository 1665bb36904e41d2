#include "server/role_flags.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/wrong_flag.h"

namespace atelier::server {
namespace {

absl::Status CheckReplica(const ServerFlags& flags) {
  if (flags.registry.empty()) {
    return WrongFlag("registry",
                     "a serving replica needs it: the data directory of the server whose models it "
                     "serves, or the s3://BUCKET/PREFIX of that server's --artifacts");
  }
  const ServerFlags unset;
  const std::pair<const char*, bool> given[] = {
      {"worker_listen", flags.worker_listen != unset.worker_listen},
      {"datasets", flags.datasets != unset.datasets},
      {"dataset_space", flags.dataset_space != unset.dataset_space},
      {"workers", flags.workers != unset.workers},
      {"threads_per_worker", flags.threads_per_worker != unset.threads_per_worker},
      {"max_queued_jobs", flags.max_queued_jobs != unset.max_queued_jobs},
      {"kept_checkpoints", flags.kept_checkpoints != unset.kept_checkpoints},
      {"lease", flags.lease != unset.lease},
      {"shutdown_grace", flags.shutdown_grace != unset.shutdown_grace},
      {"worker_binary", flags.worker_binary != unset.worker_binary},
      {"worker_address", flags.worker_address != unset.worker_address},
      {"worker_cache_dir", flags.worker_cache_dir != unset.worker_cache_dir},
      {"transfer_rate", flags.transfer_rate != unset.transfer_rate},
      {"rank_network", flags.rank_network != unset.rank_network},
      {"executor", flags.executor != unset.executor},
      {"max_jobs", flags.max_jobs != unset.max_jobs},
      {"artifacts", flags.artifacts != unset.artifacts},
      {"notify_url", flags.notify_url != unset.notify_url},
      {"notify_secret_file", flags.notify_secret_file != unset.notify_secret_file},
      {"notify_private_addresses", flags.notify_private_addresses}};
  const auto useless = std::find_if(std::begin(given), std::end(given),
                                    [](const auto& flag) { return flag.second; });
  if (useless == std::end(given)) return absl::OkStatus();
  return WrongFlag(
      useless->first,
      "it has no effect with --role=serving: a serving replica has no jobs, data sets and "
      "workers; give it to the server whose registry it follows");
}

}  // namespace

absl::Status CheckRole(const ServerFlags& flags) {
  if (flags.role == "serving") return CheckReplica(flags);
  if (flags.role != "all") {
    return WrongFlag("role", absl::StrCat("'", flags.role, "' is not all or serving"));
  }
  if (flags.registry.empty()) return absl::OkStatus();
  return WrongFlag("registry", "it has no effect without --role=serving");
}

}  // namespace atelier::server
