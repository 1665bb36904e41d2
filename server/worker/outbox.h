// What a worker has to tell its server: events in order, kept until the server has stored them.
// Not thread-safe; the session's lock guards it.
#ifndef ATELIER_SERVER_WORKER_OUTBOX_H_
#define ATELIER_SERVER_WORKER_OUTBOX_H_

#include <cstddef>
#include <cstdint>
#include <deque>

#include "absl/status/status.h"
#include "atelier/worker/v1/worker_service.pb.h"

namespace atelier::worker {

// An event gets its number when it is first sent, so that what is dropped before leaves no gap.
// Dropped, oldest first, are samples alone: progress within epochs and resources. Everything else
// stays; there are a few events an epoch of it.
//
//   events_:  [ written on this connection | numbered, to be sent again | not numbered yet ]
class Outbox {
 public:
  struct Options {
    std::size_t samples = 512;  // Unsent samples that are kept.
    std::size_t window = 256;   // Sent events that may wait for their acknowledgement.
  };

  explicit Outbox(Options options) : options_(options) {}

  // Takes an event; its number is not looked at. After an attempt's last event nothing is taken.
  void Add(v1::WorkerEvent event);

  // True if FillReport has something to send.
  bool HasUnsent() const;

  // Appends the events to send next, with their numbers.
  void FillReport(v1::ReportEvents* report);

  // The server has stored all events up to `number`.
  void Acknowledge(std::int64_t number);

  // There is a new connection, and the server has stored all events up to `acknowledged`: what came
  // later is sent again. DATA_LOSS if the server lacks events that are no longer here, or has some
  // that never were: it speaks of another attempt than this process.
  absl::Status Reconnect(std::int64_t acknowledged);

  // True if everything taken is stored.
  bool empty() const { return events_.empty(); }
  // True if the attempt's last event is stored.
  bool finished() const { return ended_ && events_.empty(); }

 private:
  const Options options_;
  std::deque<v1::WorkerEvent> events_;
  std::size_t written_ = 0;        // Sent on this connection; at most numbered_.
  std::size_t numbered_ = 0;       // Of events_, from the front.
  std::size_t samples_ = 0;        // Samples among those not numbered.
  std::int64_t acknowledged_ = 0;  // Number before that of the front event.
  bool ended_ = false;
};

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_OUTBOX_H_
