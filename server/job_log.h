// Writes what happens to jobs into the server's log, a line for each change of state.
#ifndef ATELIER_SERVER_JOB_LOG_H_
#define ATELIER_SERVER_JOB_LOG_H_

#include <string>
#include <vector>

#include "server/jobs/job_observer.h"

namespace atelier::server {

// Thread-safe. The log's own thread writes the lines, so that nobody waits for them.
class JobLog final : public jobs::JobObserver {
 public:
  void Stored(const jobs::JobRecord& record, const std::vector<v1::JobEvent>& events) override;
  void NotStarted(const jobs::JobRecord& record, const std::string& why) override;
  void Deleted(const jobs::JobRecord& record) override;
};

}  // namespace atelier::server

#endif  // ATELIER_SERVER_JOB_LOG_H_
