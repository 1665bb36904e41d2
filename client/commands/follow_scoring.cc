#include "client/commands/follow_scoring.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "client/calls/arguments.h"
#include "client/commands/command_set.h"
#include "client/commands/predictions.h"
#include "client/files/picture_files.h"
#include "client/following/scoring_text.h"
#include "client/terminal/display_text.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"

namespace atelier::client {
namespace {

constexpr int kMaxLimit = 1000;

// Writes the picture where it was asked for, and shows it where that is possible.
absl::Status Draw(Session& session, const v1::TrainingJob& job,
                  const v1::GetPredictionsResponse& found, const PictureTarget& target) {
  const bool shown = session.text() && session.terminal().interactive &&
                     session.terminal().pictures != PictureProtocol::kNone;
  if ((target.path.empty() && !shown) || found.predictions().empty()) return absl::OkStatus();
  const auto png = DrawPredictions(session, job, found);
  if (!png.ok()) return png.status();
  if (!target.path.empty()) {
    const auto path = WritePicture(session, target, absl::StrCat(Leaf(job.name()), ".png"), *png);
    if (!path.ok()) return path.status();
    if (session.text()) {
      session.Print(absl::StrCat("\nWrote ", EscapeControls(*path),
                                 ", images in this order, 10 a row, ", "as many as fit.\n"));
    }
  }
  if (shown) ShowPicture(session.terminal(), *png);
  return absl::OkStatus();
}

}  // namespace

void AddScoringOptions(CLI::App* command, ScoringOptions* options) {
  command->add_option("--limit", options->limit, "Images to list, 0 to 1,000 [20]")
      ->type_name("N")
      ->check(Between(0, kMaxLimit));
  AddPictureTarget(command, &options->target);
  command->add_flag("--detach", options->detach, "Start it and return at once");
  AddFollowOptions(command, &options->follow);
}

absl::StatusOr<int> FollowScoring(Session& session, const v1::TrainingJob& job,
                                  const ScoringOptions& options) {
  if (options.detach) {
    PrintStarted(session, job);
    return kDone;
  }
  FollowOptions follow = options.follow;
  follow.quiet = session.format() == OutputFormat::kCsv;
  v1::TrainingJob ended;
  const auto code = FollowJob(session, job, follow, &ended);
  if (!code.ok() || *code != kDone) return code;
  const auto found = FetchPredictions(session, ended, options.limit);
  if (!found.ok()) return found.status();
  switch (session.format()) {
    case OutputFormat::kText:
      if (found->predictions().empty()) break;
      session.Print(absl::StrCat("\n", session.style().Paint(Ink::kBold, TitleOf(ended)), "\n",
                                 PredictionsText(session, ended, *found)));
      break;
    case OutputFormat::kJson:
      session.PrintJson(*found);
      break;
    case OutputFormat::kCsv:
      session.Print(PredictionCsv(*found));
      break;
  }
  if (absl::Status drawn = Draw(session, ended, *found, options.target); !drawn.ok()) return drawn;
  return kDone;
}

}  // namespace atelier::client
