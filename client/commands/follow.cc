#include "client/commands/follow.h"

#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/calls/arguments.h"
#include "client/commands/command_set.h"
#include "client/commands/dataset_text.h"
#include "client/following/job_follower.h"
#include "client/following/job_text.h"
#include "client/following/live_printer.h"
#include "client/following/scoring_text.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/interrupt.h"

namespace atelier::client {
namespace {

// For programs: standard output carries data only, notices go to standard error.
class NoticeListener : public JobFollower::Listener {
 public:
  explicit NoticeListener(Session* session) : session_(session) {}

  void OnConnectionLost() override {
    session_->terminal().err << "atelier: connection lost, waiting for the server…" << std::endl;
  }
  void OnConnectionRestored() override {
    session_->terminal().err << "atelier: connected again" << std::endl;
  }

 protected:
  void PrintNow(const std::string& text) { session_->terminal().out << text << std::flush; }

 private:
  Session* const session_;
};

class QuietListener : public NoticeListener {
 public:
  using NoticeListener::NoticeListener;
  void OnEvent(const v1::JobEvent& /*event*/) override {}
};

// Every event, one a line.
class JsonListener : public NoticeListener {
 public:
  using NoticeListener::NoticeListener;
  void OnEvent(const v1::JobEvent& event) override { PrintNow(JsonLine(event)); }
};

// A row per epoch.
class CsvListener : public NoticeListener {
 public:
  explicit CsvListener(Session* session) : NoticeListener(session) {
    PrintNow(CsvLine(EpochCsvNames()));
  }
  void OnEvent(const v1::JobEvent& event) override {
    if (event.has_epoch()) PrintNow(CsvLine(EpochCsvValues(event.epoch())));
  }
};

absl::StatusOr<v1::TrainingJob> GetJob(Session& session, const std::string& name,
                                       const CallOptions& options) {
  v1::GetJobRequest request;
  request.set_name(name);
  return session.Call(&TrainingService::GetJob, request, options);
}

std::unique_ptr<LivePrinter> MakePrinter(Session& session, const v1::TrainingJob& job) {
  LivePrinter::Options options;
  options.queue_position = [&session, name = job.name()]() -> std::optional<int> {
    const auto now = GetJob(session, name, {.timeout = absl::Seconds(1)});
    if (!now.ok() || !now->has_queue_position()) return std::nullopt;
    return now->queue_position();
  };
  return std::make_unique<LivePrinter>(session.terminal(), job, std::move(options));
}

int Detach(Session& session, absl::string_view id) {
  std::ostream& stream = session.text() ? session.terminal().out : session.terminal().err;
  const std::string watch = session.Suggest(absl::StrCat("watch ", id));
  const std::string stop = session.Suggest(absl::StrCat("stop ", id));
  const int width = DisplayWidth(watch);
  stream << "Detached; the job continues.\n  " << watch << "   follows it again\n  "
         << PadRight(stop, width) << "   stops it\n";
  return kInterrupted;
}

void PrintNextSteps(Session& session, const v1::TrainingJob& job) {
  const std::string id(Leaf(job.name()));
  Table table({{""}, {""}});
  const auto add = [&](const std::string& words, const char* meaning) {
    table.AddRow({{absl::StrCat("  ", session.Suggest(words)), Ink::kBold}, {meaning, Ink::kDim}});
  };
  if (job.state() == v1::JOB_STATE_FAILED) {
    add(absl::StrCat("logs ", id), "shows the log of its worker");
    add(absl::StrCat("show ", id), "shows its specification and history");
  }
  if (job.has_import_result()) {
    const std::string name = ShortDataset(job.import_result().dataset_version());
    add(absl::StrCat("datasets images ", name), "draws images of each class");
    add(absl::StrCat("datasets check ", name), "looks for labels that are likely wrong");
    add(absl::StrCat("train --dataset ", name, " --preset cnn-2"), "trains a network on it");
  }
  if (job.has_evaluation_result() || job.has_check_result()) {
    add(absl::StrCat("show ", id), "shows all that is kept of it");
    add(absl::StrCat("confusion ", id), "shows its confusion matrix");
  }
  if (job.has_result()) {
    add(absl::StrCat("confusion ", id), "shows its confusion matrix");
    if (!job.result().model_version().empty()) {
      add(absl::StrCat("classify ", ShortModel(job.result().model_version()), " --test-image=0"),
          "classifies a test image");
    }
  }
  if (table.empty()) return;
  session.Print(absl::StrCat("\nNext steps\n", table.Render(session.style(), 1000)));
}

// What an import made: the version as `datasets show` prints it, and what was left out.
void PrintImport(Session& session, const v1::ImportResult& result) {
  v1::GetDatasetRequest request;
  request.set_name(result.dataset_version());
  const auto dataset = session.Call(&DatasetService::GetDataset, request, {.repeats = 3});
  // It may have been deleted since.
  if (dataset.ok()) {
    session.Print("\n" + DatasetText(*dataset, /*all_classes=*/false, session.style(),
                                     session.terminal().width()));
  }
  session.Print(ImportNotes(result, session.style()));
}

void PrintEnd(Session& session, const v1::TrainingJob& job) {
  const int width = session.terminal().width();
  session.Print(absl::StrCat("\n", Ending(job, session.style()), "\n"));
  if (job.has_import_result()) PrintImport(session, job.import_result());
  if (const std::string text = ScoringResultText(job, session.style(), width); !text.empty()) {
    session.Print("\n" + text);
  }
  if (job.has_result()) {
    session.Print("\n" + ResultTable(job).Render(session.style(), width) +
                  NotesText(job.result().warnings(), session.style()));
  }
  PrintNextSteps(session, job);
}

std::unique_ptr<JobFollower::Listener> MakeListener(Session& session, const v1::TrainingJob& job,
                                                    bool quiet) {
  if (quiet) return std::make_unique<QuietListener>(&session);
  switch (session.format()) {
    case OutputFormat::kJson:
      return std::make_unique<JsonListener>(&session);
    case OutputFormat::kCsv:
      return std::make_unique<CsvListener>(&session);
    case OutputFormat::kText:
      break;
  }
  return MakePrinter(session, job);
}

}  // namespace

void AddFollowOptions(CLI::App* command, FollowOptions* options) {
  AddDurationOption(command, "--wait-for-server", &options->patience,
                    "Time to wait after a lost connection [60s]", {absl::ZeroDuration()});
}

absl::StatusOr<int> FollowJob(Session& session, const v1::TrainingJob& job,
                              const FollowOptions& options, v1::TrainingJob* ended_job) {
  auto connection = session.Connect();
  if (!connection.ok()) return connection.status();
  // Progress within epochs is for live display and for programs.
  const bool live = session.text() && session.terminal().interactive && !HasEnded(job.state());
  const Interrupt interrupt;
  JobFollower follower(*connection,
                       {.job = job.name(),
                        .after_number = options.after_number,
                        .epochs_only = !live && session.format() != OutputFormat::kJson,
                        .patience = options.patience,
                        .interrupted = [&session] { return session.interrupted(); }});
  const auto listener = MakeListener(session, job, options.quiet);
  const absl::Status followed = follower.Follow(listener.get());
  if (auto* printer = dynamic_cast<LivePrinter*>(listener.get())) printer->Clear();
  const std::string id(Leaf(job.name()));
  if (absl::IsCancelled(followed)) return Detach(session, id);
  if (absl::IsUnavailable(followed)) {
    return absl::UnavailableError(absl::StrCat(followed.message(), " `",
                                               session.Suggest(absl::StrCat("watch ", id)),
                                               "` follows the job again."));
  }
  if (!followed.ok()) return followed;
  const auto ended = GetJob(session, job.name(), {.repeats = 3});
  if (!ended.ok()) return ended.status();
  if (ended_job != nullptr) *ended_job = *ended;
  if (options.quiet) {
    if (ended->state() != v1::JOB_STATE_COMPLETED) {
      session.terminal().err << "atelier: " << id << ": " << Ending(*ended, session.style())
                             << std::endl;
    }
    return ExitCodeOf(ended->state());
  }
  if (session.text()) PrintEnd(session, *ended);
  if (session.format() == OutputFormat::kJson) session.PrintJson(*ended);
  return ExitCodeOf(ended->state());
}

void PrintStarted(Session& session, const v1::TrainingJob& job) {
  if (session.format() == OutputFormat::kJson) session.PrintJson(job);
  if (session.format() == OutputFormat::kCsv) {
    session.Print(CsvLine({"name"}) + CsvLine({job.name()}));
  }
  if (session.text()) {
    const std::string id(Leaf(job.name()));
    session.Print(
        absl::StrCat("Started ", id, ".\n  ", session.Suggest("watch " + id), "   follows it\n"));
  }
}

}  // namespace atelier::client
