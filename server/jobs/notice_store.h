// What is to be told to whom about jobs that have ended. A notice is stored with the end of its job
// and stays until it was delivered or given up. server/store implements it.
#ifndef ATELIER_SERVER_JOBS_NOTICE_STORE_H_
#define ATELIER_SERVER_JOBS_NOTICE_STORE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "atelier/v1/job.pb.h"

namespace atelier::jobs {

struct Notice {
  std::int64_t key = 0;  // Never used twice.
  std::string url;
  v1::TrainingJob job;  // As it ended.
  int tries = 0;        // Deliveries that failed.
};

// Thread-safe; calls wait for the disk. What a call that changes something answered with OK is on
// the disk. Errors as JobStore's.
class NoticeStore {
 public:
  virtual ~NoticeStore() = default;

  // Those of ended jobs that are due, the one that has been due longest first, `limit` at most.
  virtual absl::StatusOr<std::vector<Notice>> DueNotices(absl::Time now, int limit) = 0;
  // When the next one is due; InfiniteFuture if there is none.
  virtual absl::StatusOr<absl::Time> NextNoticeDue() = 0;
  // A delivery failed: it is due again at `due`. Nothing happens if the notice is gone.
  virtual absl::Status PostponeNotice(std::int64_t key, absl::Time due) = 0;
  virtual absl::Status RemoveNotice(std::int64_t key) = 0;
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_NOTICE_STORE_H_
