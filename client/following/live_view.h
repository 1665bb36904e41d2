// Turns a job's events into lines of text. Apply returns the permanent lines (phases, a row per
// finished epoch, notices); StatusLine renders the line that is updated in place. Used by one
// thread.
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

  // `width` is the maximum width of the permanent lines, in columns.
  LiveView(const v1::TrainingJob& job, Style style, int width);

  // The first line: the job and what it trains.
  std::string Heading() const;

  // Applies an event; returns the permanent lines to print, none for most events.
  Lines Apply(const v1::JobEvent& event);

  // Where the job is now, in less than `width` columns; empty once it has ended.
  std::string StatusLine(int width, absl::Time now) const;

  // How many jobs are ahead of this one, while it is queued.
  void SetQueuePosition(int position) { queue_position_ = position; }
  bool queued() const { return state_ == v1::JOB_STATE_QUEUED; }

 private:
  Lines ApplyTransition(const v1::JobEvent& event);
  Lines ApplyEpoch(const v1::EpochMetrics& epoch);
  std::string PhaseLine(const v1::JobEvent& event, Ink ink, const std::string& text) const;
  // Titles or values in the columns that fit.
  std::string Row(const std::vector<std::string>& cells) const;
  // Whether the state is one in which steps tell how far the job is.
  bool HasProgress() const;
  std::string ProgressLine(int width) const;
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
