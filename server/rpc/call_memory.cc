#include "server/rpc/call_memory.h"

#include "absl/strings/str_cat.h"
#include "server/jobs/error.h"

namespace atelier::rpc {
namespace {

absl::Status TooMuchHeld(absl::string_view whose, std::int64_t limit) {
  return jobs::Error(absl::StatusCode::kResourceExhausted, "TOO_MUCH_HELD",
                     absl::StrCat(whose, " hold requests and answers of ", limit >> 20,
                                  " MiB, the most the server keeps; read the answers, or try again "
                                  "with fewer calls at a time."));
}

}  // namespace

std::int64_t CallMemory::held() const {
  absl::MutexLock lock(&mutex_);
  return held_;
}

absl::Status CallMemory::Change(const std::string& connection, std::int64_t more) {
  absl::MutexLock lock(&mutex_);
  const auto found = connections_.try_emplace(connection, 0).first;
  std::int64_t& of_connection = found->second;
  absl::Status status;
  if (more > 0 && of_connection + more > options_.connection_bytes) {
    status = TooMuchHeld("The calls of this connection", options_.connection_bytes);
  } else if (more > 0 && held_ + more > options_.all_bytes) {
    status = TooMuchHeld("The calls of all clients", options_.all_bytes);
  } else {
    of_connection += more;
    held_ += more;
  }
  if (of_connection == 0) connections_.erase(found);
  return status;
}

absl::Status CallMemory::Share::Hold(std::int64_t bytes) {
  if (bytes <= kUncounted || memory_ == nullptr) bytes = 0;
  if (bytes == held_) return absl::OkStatus();
  if (connection_.empty()) connection_ = context_->peer();
  const absl::Status status = memory_->Change(connection_, bytes - held_);
  if (status.ok()) held_ = bytes;
  return status;
}

}  // namespace atelier::rpc
