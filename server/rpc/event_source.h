// What StreamMetrics sends: a job's events, read from the event log in small pages.
#ifndef ATELIER_SERVER_RPC_EVENT_SOURCE_H_
#define ATELIER_SERVER_RPC_EVENT_SOURCE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "atelier/v1/job.pb.h"
#include "server/jobs/event_log.h"
#include "server/rpc/stream_reactor.h"

namespace atelier::rpc {

class EventSource final : public StreamSource<v1::JobEvent> {
 public:
  // Answers with the job as it is now.
  using GetJob = std::function<absl::StatusOr<v1::TrainingJob>(const std::string& job)>;

  // Events with a number above `after`. `log` must outlive the source.
  EventSource(jobs::EventLog* log, GetJob get_job, std::string job, std::int64_t after,
              bool epochs_only)
      : log_(log),
        get_job_(std::move(get_job)),
        job_(std::move(job)),
        epochs_only_(epochs_only),
        position_(after),
        sent_(after) {}

  absl::StatusOr<Batch<v1::JobEvent>> Produce() override;
  bool Await(std::function<void()> wake) override;
  bool TakeBack() override;
  // That the job waits, and for what.
  std::shared_ptr<const v1::JobEvent> StillThere() override;

 private:
  // What the job waits for, under the number of the last event that was sent.
  std::shared_ptr<v1::JobEvent> Waits(const std::string& reason) const;

  // Events of a page: what a reader that does not read keeps in memory.
  static constexpr int kPage = 128;

  jobs::EventLog* const log_;
  const GetJob get_job_;
  const std::string job_;
  const bool epochs_only_;
  std::int64_t position_;
  std::int64_t sent_;      // The last event's number that was sent.
  std::int64_t note_ = 0;  // Number of the last note that was sent or was there before.
  std::optional<std::uint64_t> subscription_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_EVENT_SOURCE_H_
