#include "client/commands/experiment_follow.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/calls/arguments.h"
#include "client/comparing/comparison.h"
#include "client/comparing/comparison_text.h"
#include "client/following/experiment_follower.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/terminal/interrupt.h"
#include "client/terminal/live_block.h"

namespace atelier::client {

int RunCountOf(const v1::Experiment& experiment, std::optional<v1::RunState> state) {
  int count = 0;
  for (const v1::RunCount& entry : experiment.run_counts()) {
    if (!state.has_value() || entry.state() == *state) count += entry.count();
  }
  return count;
}

namespace {

bool IsOver(v1::RunState state) {
  return state != v1::RUN_STATE_WAITING && state != v1::RUN_STATE_QUEUED &&
         state != v1::RUN_STATE_RUNNING;
}

// Shows an experiment while it runs.
class Display {
 public:
  explicit Display(Session* session) : session_(session), block_(session->terminal()) {}

  void Changed(v1::Experiment experiment, const v1::ExperimentUpdate& update) {
    if (session_->format() == OutputFormat::kJson) session_->PrintJson(update);
    session_->terminal().out << std::flush;
    if (!session_->text()) return;
    EscapeControls(&experiment);
    if (session_->terminal().interactive) {
      block_.Draw(Lines(experiment));
    } else {
      PrintEnded(experiment);
    }
  }

  void Notice(const char* words) {
    block_.Clear();
    std::ostream& stream = session_->text() ? session_->terminal().out : session_->terminal().err;
    stream << session_->style().Paint(Ink::kYellow, words) << std::endl;
  }

  void Clear() { block_.Clear(); }

 private:
  std::vector<std::string> Lines(const v1::Experiment& experiment) {
    const int width = session_->terminal().width() - 2;
    const Comparison comparison = Compare(TrialsOf(experiment));
    std::string text = ProgressTable(comparison).Render(session_->style(), width);
    absl::StripTrailingAsciiWhitespace(&text);
    std::vector<std::string> lines = absl::StrSplit(text, '\n');
    lines.push_back(session_->style().Paint(
        Ink::kDim, Clip(absl::StrCat(StandingText(experiment), "; Ctrl-C detaches"), width)));
    return lines;
  }

  // Not on a terminal: a line for each run that ended, once.
  void PrintEnded(const v1::Experiment& experiment) {
    const Comparison comparison = Compare(TrialsOf(experiment));
    for (const Configuration& configuration : comparison.configurations) {
      for (const Trial& trial : configuration.trials) {
        const std::string key =
            absl::StrCat(LabelOf(comparison, configuration), ", seed ", trial.spec.seed());
        if (!IsOver(trial.state) || !shown_.insert(key).second) continue;
        std::string line =
            absl::StrCat(key, ": ", EnumWord(v1::RunState_descriptor(), trial.state));
        if (trial.result.has_value()) {
          absl::StrAppend(&line, ", test ", Percent(trial.result->test_accuracy()), ", validation ",
                          Percent(trial.result->validation_accuracy()));
        } else if (!trial.message.empty()) {
          absl::StrAppend(&line, ". ", trial.message);
        }
        session_->terminal().out << line << std::endl;
      }
    }
  }

  Session* const session_;
  LiveBlock block_;
  std::set<std::string> shown_;  // Runs.
};

int DetachFromExperiment(Session& session, absl::string_view id) {
  std::ostream& stream = session.text() ? session.terminal().out : session.terminal().err;
  stream << "Detached; the experiment continues.\n  " << session.Suggest(absl::StrCat("watch ", id))
         << "   follows it again\n  " << session.Suggest(absl::StrCat("stop ", id))
         << "   stops it\n";
  return kInterrupted;
}

void PrintEnd(Session& session, const v1::Experiment& ended) {
  const Comparison comparison = Compare(TrialsOf(ended));
  switch (session.format()) {
    case OutputFormat::kJson:
      session.PrintJson(ended);
      break;
    case OutputFormat::kCsv:
      session.Print(ComparisonCsv(comparison));
      break;
    case OutputFormat::kText:
      session.Print(
          absl::StrCat("\n", StandingText(ended), "\n\n",
                       ComparisonText(comparison, session.style(), session.terminal().width())));
      session.Print(absl::StrCat("\n  ",
                                 session.Suggest(absl::StrCat("report ", Leaf(ended.name()))),
                                 "   writes an HTML report\n"));
      break;
  }
}

}  // namespace

int ExitCodeOf(const v1::Experiment& experiment) {
  if (experiment.state() == v1::EXPERIMENT_STATE_STOPPED) return kJobStopped;
  if (experiment.state() != v1::EXPERIMENT_STATE_COMPLETED) return kJobNotFinished;
  if (RunCountOf(experiment, v1::RUN_STATE_FAILED) > 0) return kJobFailed;
  return RunCountOf(experiment, v1::RUN_STATE_STOPPED) > 0 ? kJobStopped : kDone;
}

std::string StandingText(const v1::Experiment& experiment) {
  int all = 0;
  for (const v1::RunCount& count : experiment.run_counts()) all += count.count();
  std::string text = absl::StrCat(EnumWord(v1::ExperimentState_descriptor(), experiment.state()),
                                  ": ", RunCountOf(experiment, v1::RUN_STATE_COMPLETED), " of ",
                                  Count(all, "run"), " completed");
  for (const v1::RunCount& count : experiment.run_counts()) {
    if (count.state() == v1::RUN_STATE_COMPLETED) continue;
    absl::StrAppend(&text, ", ", count.count(), " ",
                    EnumWord(v1::RunState_descriptor(), count.state()));
  }
  return text;
}

absl::StatusOr<int> FollowExperiment(Session& session, const v1::Experiment& experiment,
                                     const FollowOptions& options) {
  auto connection = session.Connect();
  if (!connection.ok()) return connection.status();
  Display display(&session);
  const Interrupt interrupt;
  ExperimentFollower follower(
      *connection,
      {.experiment = experiment.name(),
       .patience = options.patience,
       .interrupted = [&session] { return session.interrupted(); },
       .changed = [&display](const v1::Experiment& now,
                             const v1::ExperimentUpdate& update) { display.Changed(now, update); },
       .lost = [&display] { display.Notice("connection lost, waiting for the server…"); },
       .restored = [&display] { display.Notice("connected again"); }});
  const absl::Status followed = follower.Follow();
  display.Clear();
  const std::string id(Leaf(experiment.name()));
  if (absl::IsCancelled(followed)) return DetachFromExperiment(session, id);
  if (absl::IsUnavailable(followed)) {
    return absl::UnavailableError(absl::StrCat(followed.message(), " `",
                                               session.Suggest(absl::StrCat("watch ", id)),
                                               "` follows the experiment again."));
  }
  if (!followed.ok()) return followed;
  v1::Experiment ended = follower.experiment();
  if (session.text()) EscapeControls(&ended);
  PrintEnd(session, ended);
  return ExitCodeOf(ended);
}

}  // namespace atelier::client
