#include "client/following/live_view.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/calls/arguments.h"
#include "client/calls/spec_fields.h"
#include "client/following/job_text.h"
#include "client/following/scoring_text.h"
#include "client/terminal/display_text.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"
#include "proto/lifecycle/lifecycle.h"

namespace atelier::client {
namespace {

constexpr int kTimeWidth = 8;
constexpr int kGap = 2;
constexpr int kLongestBar = 30;
constexpr int kShortestBar = 10;

struct EpochColumn {
  const char* title;
  int width;
  // The column with the highest number leaves first where there is too little room.
  int sacrifice;
};

constexpr std::array<EpochColumn, 8> kEpochColumns = {{{"epoch", kTimeWidth, 0},
                                                       {"train loss", 10, 3},
                                                       {"train acc", 9, 5},
                                                       {"val loss", 8, 1},
                                                       {"val acc", 7, 0},
                                                       {"images/s", 8, 6},
                                                       {"time", 7, 4},
                                                       {"", 6, 2}}};

// The columns that fit into the width.
std::vector<bool> ChooseColumns(int width) {
  std::vector<bool> shown(kEpochColumns.size(), true);
  for (int sacrifice = 6; sacrifice > 0; --sacrifice) {
    int total = -kGap;
    for (std::size_t i = 0; i < shown.size(); ++i) {
      if (shown[i]) total += kEpochColumns[i].width + kGap;
    }
    if (total < width) break;
    for (std::size_t i = 0; i < shown.size(); ++i) {
      if (kEpochColumns[i].sacrifice == sacrifice) shown[i] = false;
    }
  }
  return shown;
}

std::string Bar(double fraction, int width, const Style& style) {
  const auto filled = static_cast<std::size_t>(
      std::clamp<int>(static_cast<int>(std::lround(fraction * width)), 0, width));
  std::string done;
  std::string left;
  for (std::size_t i = 0; i < static_cast<std::size_t>(width); ++i) {
    (i < filled ? done : left) += i < filled ? "━" : "─";
  }
  return style.Paint(Ink::kCyan, done) + style.Paint(Ink::kDim, left);
}

// A part of the status line; where there is too little room the last ones by rank are left out.
struct Part {
  int rank;
  std::string text;
};

std::vector<Part> ProgressParts(const v1::Progress& progress) {
  const std::string epochs = absl::StrCat(progress.epochs());
  const std::string steps = absl::StrCat(progress.steps_per_epoch());
  const double fraction = progress.steps_per_epoch() > 0
                              ? static_cast<double>(progress.step()) / progress.steps_per_epoch()
                              : 0;
  const auto padded = [](int value, const std::string& widest) {
    return PadLeft(absl::StrCat(value), static_cast<int>(widest.size()));
  };
  std::vector<Part> parts = {
      {0, absl::StrCat("epoch ", padded(progress.epoch(), epochs), "/", epochs)},
      {6, PadLeft(Percent(fraction, 0), 5)},
      {7, absl::StrCat("step ", padded(progress.step(), steps), "/", steps)},
      {4, absl::StrCat(PadLeft(Count(std::llround(progress.images_per_second())), 6), " images/s")},
      {1, absl::StrCat("loss ", Loss(progress.training_loss()))},
      {5, absl::StrCat("acc ", Percent(progress.training_accuracy(), 1))}};
  if (progress.has_time_left()) {
    parts.push_back({2, absl::StrCat(Duration(ToDuration(progress.time_left())), " left")});
  }
  return parts;
}

std::vector<Part> ImageParts(const v1::Progress& progress) {
  std::vector<Part> parts = {{0, ImageProgress(progress)}};
  if (progress.images_per_second() > 0) {
    parts.push_back(
        {4, absl::StrCat(Count(std::llround(progress.images_per_second())), " images/s")});
  }
  if (progress.has_time_left()) {
    parts.push_back({2, absl::StrCat(Duration(ToDuration(progress.time_left())), " left")});
  }
  return parts;
}

}  // namespace

LiveView::LiveView(const v1::TrainingJob& job, Style style, int width)
    : job_(job),
      style_(style),
      width_(width),
      shown_columns_(ChooseColumns(width)),
      state_(job.state()) {
  state_since_ = job.transitions().empty() ? ToTime(job.create_time())
                                           : ToTime(job.transitions().rbegin()->time());
  if (job.has_queue_position()) queue_position_ = job.queue_position();
  // A watcher who comes in the middle of an epoch sees at once where it is.
  if (job.has_progress() && HasProgress()) progress_ = job.progress();
}

std::string LiveView::Heading() const {
  if (job_.has_import()) {
    return absl::StrCat(style_.Paint(Ink::kBold, Leaf(job_.name())), "  ", job_.import().dataset(),
                        " from ", job_.import().source_name(), ", ",
                        Bytes(job_.import().size_bytes()));
  }
  if (job_.has_evaluation() || job_.has_check()) {
    return absl::StrCat(
        style_.Paint(Ink::kBold, Leaf(job_.name())), "  ",
        job_.has_check() ? CheckTitle(job_.check()) : EvaluationTitle(job_.evaluation()));
  }
  const v1::TrainingSpec& spec = job_.spec();
  return absl::StrCat(style_.Paint(Ink::kBold, Leaf(job_.name())), "  ", NetworkTitle(spec), " on ",
                      spec.dataset(), ", ", Count(spec.epochs(), "epoch"), ", batch ",
                      spec.batch_size(), ", seed ", spec.seed(),
                      job_.has_start() ? absl::StrCat("\n", StartText(job_.start())) : "");
}

LiveView::Lines LiveView::Apply(const v1::JobEvent& event) {
  switch (event.event_case()) {
    case v1::JobEvent::kTransition:
      return ApplyTransition(event);
    case v1::JobEvent::kStep:
      progress_ = event.step();
      return {};
    case v1::JobEvent::kEpoch:
      return ApplyEpoch(event.epoch());
    case v1::JobEvent::kEarlyStop:
      return {
          PhaseLine(event, Ink::kPlain,
                    absl::StrCat("early stop: the validation loss has not improved since epoch ",
                                 event.early_stop().best_epoch(), ", whose weights are restored"))};
    case v1::JobEvent::kRewound:
      progress_.reset();
      return {
          PhaseLine(event, Ink::kYellow,
                    absl::StrCat("rewound to epoch ", event.rewound().epoch(), ", continuing"))};
    default:
      return {};
  }
}

LiveView::Lines LiveView::ApplyTransition(const v1::JobEvent& event) {
  const v1::StateTransition& transition = event.transition();
  const bool repeated = transition.state() == v1::JOB_STATE_QUEUED && event.number() > 1;
  state_ = transition.state();
  state_since_ = ToTime(event.time());
  queue_position_.reset();
  progress_.reset();
  if (HasEnded(state_)) return {};
  if (state_ == v1::JOB_STATE_STOPPING) {
    return {PhaseLine(event, Ink::kYellow, absl::StrCat("stopping: ", transition.message()))};
  }
  if (repeated) {
    return {PhaseLine(event, Ink::kYellow, absl::StrCat("queued again: ", transition.message()))};
  }
  return {PhaseLine(event, Ink::kDim, StateText(state_))};
}

LiveView::Lines LiveView::ApplyEpoch(const v1::EpochMetrics& epoch) {
  Lines lines;
  if (!titles_shown_) {
    std::vector<std::string> titles;
    titles.reserve(kEpochColumns.size());
    for (const EpochColumn& column : kEpochColumns) titles.emplace_back(column.title);
    lines.push_back(style_.Paint(Ink::kDim, Row(titles)));
    titles_shown_ = true;
  }
  const std::string row =
      Row({absl::StrCat(epoch.epoch()), Loss(epoch.training_loss()),
           Percent(epoch.training_accuracy(), 1), Loss(epoch.validation_loss()),
           Percent(epoch.validation_accuracy(), 1), Count(std::llround(epoch.images_per_second())),
           Duration(absl::Seconds(epoch.seconds())), epoch.best() ? "★ best" : ""});
  lines.push_back(epoch.best() ? style_.Paint(Ink::kGreen, row) : row);
  progress_.reset();
  return lines;
}

std::string LiveView::PhaseLine(const v1::JobEvent& event, Ink ink, const std::string& text) const {
  const std::string offset = Duration(ToTime(event.time()) - ToTime(job_.create_time()));
  // The text is wrapped as if it stood behind its time.
  const int indent = kTimeWidth + kGap;
  const std::string wrapped = Wrap(std::string(indent, '.') + text, width_, indent).substr(indent);
  return absl::StrCat(style_.Paint(Ink::kDim, PadLeft(offset, kTimeWidth)), "  ",
                      style_.Paint(ink, wrapped));
}

std::string LiveView::Row(const std::vector<std::string>& cells) const {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (!shown_columns_[i]) continue;
    const bool mark = i + 1 == cells.size();
    if (mark && cells[i].empty()) continue;
    parts.push_back(mark ? cells[i] : PadLeft(cells[i], kEpochColumns[i].width));
  }
  return absl::StrJoin(parts, std::string(kGap, ' '));
}

std::string LiveView::StatusLine(int width, absl::Time now) const {
  if (HasEnded(state_)) return "";
  return HasProgress() && progress_.has_value() ? ProgressLine(width - 1)
                                                : WaitingLine(width - 1, now);
}

bool LiveView::HasProgress() const {
  return state_ == v1::JOB_STATE_TRAINING || state_ == v1::JOB_STATE_IMPORTING ||
         state_ == v1::JOB_STATE_CHECKING ||
         (state_ == v1::JOB_STATE_EVALUATING && job_.has_evaluation());
}

std::string LiveView::ProgressLine(int width) const {
  const bool images = KindOf(job_) != JobKind::kTraining;
  std::vector<Part> parts = images ? ImageParts(*progress_) : ProgressParts(*progress_);
  int used = -kGap;
  std::vector<bool> fits(parts.size(), false);
  int bar = 0;
  // Rank 3 is the bar, which takes what room is left over as well.
  for (int rank = 0; rank <= 7; ++rank) {
    if (rank == 3 && used + kGap + kShortestBar <= width) {
      bar = kShortestBar;
      used += kGap + bar;
    }
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const int needed = kGap + DisplayWidth(parts[i].text);
      if (parts[i].rank != rank || used + needed > width) continue;
      fits[i] = true;
      used += needed;
    }
  }
  if (!fits[0]) return Clip(parts[0].text, width);
  if (bar > 0) bar = std::min(kLongestBar, bar + width - used);
  std::vector<std::string> shown = {parts[0].text};
  if (bar > 0) {
    const auto all = static_cast<double>(images ? progress_->total_images()
                                                : std::int64_t{progress_->steps_per_epoch()});
    const auto done =
        static_cast<double>(images ? progress_->images() : std::int64_t{progress_->step()});
    shown.push_back(Bar(done / std::max(1.0, all), bar, style_));
  }
  for (std::size_t i = 1; i < parts.size(); ++i) {
    if (fits[i]) shown.push_back(parts[i].text);
  }
  return absl::StrJoin(shown, std::string(kGap, ' '));
}

std::string LiveView::WaitingLine(int width, absl::Time now) const {
  static constexpr std::array<const char*, 10> kSpinner = {"⠋", "⠙", "⠹", "⠸", "⠼",
                                                           "⠴", "⠦", "⠧", "⠇", "⠏"};
  const absl::Duration waited = std::max(now - state_since_, absl::ZeroDuration());
  const auto turn = static_cast<std::size_t>(absl::ToInt64Milliseconds(waited) / 100);
  std::string what = StateText(state_);
  if (queued() && queue_position_.value_or(0) > 0) {
    absl::StrAppend(&what, ", ", Count(*queue_position_, "job"), " before this one");
  }
  const std::string text = absl::StrCat(what, "  ", Duration(waited));
  if (width < 3) return Clip(text, width);
  return absl::StrCat(style_.Paint(Ink::kCyan, kSpinner[turn % kSpinner.size()]), " ",
                      Clip(text, width - 2));
}

}  // namespace atelier::client
