// A training as people watch it: turns a job's events into lines. Lines for good (phases, a row per
// finished epoch, notices) are returned by Apply; the one line that is updated in place is drawn by
// StatusLine for any width. Writes nothing itself. Used by one thread.
#ifndef ATELIER_CLIENT_FOLLOWING_LIVE_VIEW_H_
#define ATELIER_CLIENT_FOLLOWING_LIVE_VIEW_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "atelier/v1/job.pb.h"
#include "client/terminal/style.h"

namespace atelier::client {

class LiveView {
 public:
  using Lines = std::vector<std::string>;

  // `width` is how many columns the lines for good may take.
  LiveView(const v1::TrainingJob& job, Style style, int width);

  // What is trained.
  std::string Heading() const;

  // Takes in an event; returns the lines to print for good, none for most events.
  Lines Apply(const v1::JobEvent& event);

  // Where the job is now, in less than `width` columns; empty once it has ended.
  std::string StatusLine(int width, absl::Time now) const;

  // How many jobs stand before this one, while it is queued.
  void SetQueuePosition(int position) { queue_position_ = position; }
  bool queued() const { return state_ == v1::JOB_STATE_QUEUED; }

 private:
  Lines ApplyTransition(const v1::JobEvent& event);
  Lines ApplyEpoch(const v1::EpochMetrics& epoch);
  std::string PhaseLine(const v1::JobEvent& event, Ink ink, const std::string& text) const;
  // Titles or values in the columns that fit.
  std::string Row(const std::vector<std::string>& cells) const;
  std::string TrainingLine(int width) const;
  std::string WaitingLine(int width, absl::Time now) const;

  const v1::TrainingJob job_;
  const Style style_;
  const int width_;
  std::vector<bool> shown_columns_;

  v1::JobState state_ = v1::JOB_STATE_UNSPECIFIED;
  absl::Time state_since_;
  std::optional<int> queue_position_;
  std::optional<v1::Progress> progress_;
  bool titles_shown_ = false;
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_FOLLOWING_LIVE_VIEW_H_
