#include "server/transfers/known_files.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "models/files/file_digest.h"

namespace atelier::transfers {

KnownFiles::Claim::Claim(Claim&& other) noexcept
    : files_(std::exchange(other.files_, nullptr)), path_(std::move(other.path_)) {}

KnownFiles::Claim::~Claim() {
  if (files_ == nullptr) return;
  MutexLock lock(&files_->mutex_);
  files_->claimed_.erase(path_);
}

absl::StatusOr<KnownFiles::Claim> KnownFiles::Take(const std::string& path) {
  MutexLock lock(&mutex_);
  if (!claimed_.insert(path).second) {
    return absl::AbortedError(absl::StrCat(path, " is being read or written; ask again"));
  }
  return Claim(this, path);
}

absl::StatusOr<std::string> KnownFiles::Sha256(const std::string& path,
                                               const models::StopSignal* stop) {
  if (std::string known = Recall(path); !known.empty()) return known;
  const auto claim = Take(path);
  if (!claim.ok()) return claim.status();
  const auto before = models::FileIdentity::Of(path);
  auto sum = models::Sha256OfFile(path, stop);
  if (!sum.ok()) return sum.status();
  if (before != models::FileIdentity::Of(path)) {
    return absl::AbortedError(absl::StrCat(path, " changed while it was read; ask again"));
  }
  Remember(path, *sum);
  return sum;
}

std::string KnownFiles::Recall(const std::string& path) {
  const std::optional<models::FileIdentity> identity = models::FileIdentity::Of(path);
  MutexLock lock(&mutex_);
  for (auto known = known_.begin(); known != known_.end(); ++known) {
    if (known->path != path) continue;
    if (!identity.has_value() || known->identity != *identity) {
      known_.erase(known);
      break;
    }
    known_.splice(known_.begin(), known_, known);
    return known->sha256;
  }
  return "";
}

void KnownFiles::Remember(const std::string& path, const std::string& sha256) {
  const auto identity = models::FileIdentity::Of(path);
  if (!identity.has_value()) return;
  MutexLock lock(&mutex_);
  known_.remove_if([&](const Known& known) { return known.path == path; });
  known_.push_front({path, *identity, sha256});
  if (known_.size() > kMost) known_.pop_back();
}

}  // namespace atelier::transfers
