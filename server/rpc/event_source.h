// What StreamMetrics sends: a job's events, read from the event log in small pages.
#ifndef ATELIER_SERVER_RPC_EVENT_SOURCE_H_
#define ATELIER_SERVER_RPC_EVENT_SOURCE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "atelier/v1/job.pb.h"
#include "server/jobs/event_log.h"
#include "server/rpc/stream_reactor.h"

namespace atelier::rpc {

class EventSource final : public StreamSource<v1::JobEvent> {
 public:
  // Events with a number above `after`. `log` must outlive the source.
  EventSource(jobs::EventLog* log, std::string job, std::int64_t after, bool epochs_only)
      : log_(log), job_(std::move(job)), epochs_only_(epochs_only), position_(after) {}

  absl::StatusOr<Batch<v1::JobEvent>> Produce() override;
  bool Await(std::function<void()> wake) override;
  bool TakeBack() override;

 private:
  // Events of a page: what a reader that does not read keeps in memory.
  static constexpr int kPage = 32;

  jobs::EventLog* const log_;
  const std::string job_;
  const bool epochs_only_;
  std::int64_t position_;
  std::optional<std::uint64_t> subscription_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_EVENT_SOURCE_H_
