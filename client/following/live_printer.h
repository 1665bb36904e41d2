// Shows a followed job on the terminal: lines for good scroll by, the status line stays below them
// and is redrawn at most ten times a second. Not on a terminal: the lines for good alone. Used by
// one thread.
#ifndef ATELIER_CLIENT_FOLLOWING_LIVE_PRINTER_H_
#define ATELIER_CLIENT_FOLLOWING_LIVE_PRINTER_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/following/job_follower.h"
#include "client/following/live_view.h"
#include "client/terminal/terminal.h"

namespace atelier::client {

class LivePrinter : public JobFollower::Listener {
 public:
  struct Options {
    // Asks how many jobs stand before this one; called now and then while it is queued.
    std::function<std::optional<int>()> queue_position = [] { return std::nullopt; };
    std::function<absl::Time()> clock = absl::Now;
  };

  LivePrinter(const Terminal& terminal, const v1::TrainingJob& job, Options options);

  void PrintLine(const std::string& line);
  // Takes the status line away; what is printed next begins on a line of its own.
  void Clear();

  void OnEvent(const v1::JobEvent& event) override;
  void OnWaiting(const v1::Waiting& waiting) override;
  void OnTick() override;
  void OnConnectionLost() override;
  void OnConnectionRestored() override;

 private:
  void Draw();
  void RefreshQueuePosition();

  const Terminal& terminal_;
  const Options options_;
  LiveView view_;
  bool connected_ = true;
  // Why the job waits, as it was said last.
  std::string waiting_reason_;
  // What stands in the status line.
  std::string drawn_;
  absl::Time last_draw_ = absl::InfinitePast();
  absl::Time last_queue_question_ = absl::InfinitePast();
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_FOLLOWING_LIVE_PRINTER_H_
