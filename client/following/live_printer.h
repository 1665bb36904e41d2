// Shows a followed job on the terminal: permanent lines scroll by, the status line stays below them
// and is redrawn at most ten times per second. Without a terminal it prints only the permanent
// lines. Used by one thread.
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
    // Returns how many jobs are ahead of this one; called now and then while it is queued.
    std::function<std::optional<int>()> queue_position = [] { return std::nullopt; };
    std::function<absl::Time()> clock = absl::Now;
  };

  LivePrinter(const Terminal& terminal, const v1::TrainingJob& job, Options options);

  void PrintLine(const std::string& line);
  // Removes the status line, so that the next output starts on a new line.
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
  // The last reason why the job waits.
  std::string waiting_reason_;
  // The contents of the status line.
  std::string drawn_;
  absl::Time last_draw_ = absl::InfinitePast();
  absl::Time last_queue_question_ = absl::InfinitePast();
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_FOLLOWING_LIVE_PRINTER_H_
