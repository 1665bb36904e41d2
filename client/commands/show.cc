// `atelier show`: prints all details of a job.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "client/calls/arguments.h"
#include "client/calls/resource_kind.h"
#include "client/calls/spec_help.h"
#include "client/commands/commands.h"
#include "client/commands/predictions.h"
#include "client/following/job_text.h"
#include "client/following/scoring_text.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"
#include "proto/lifecycle/lifecycle.h"

namespace atelier::client {
namespace {

// Two fields a row, by the names of their options. Fields that have no value are left out.
Table SpecTable(const v1::TrainingSpec& spec) {
  std::vector<Table::Cell> cells;
  for (const SpecField field : FieldsInHelpOrder()) {
    std::string value = ValueText(spec, field);
    if (value.empty()) continue;
    cells.emplace_back(absl::StrCat("  ", TitleOf(field)), Ink::kDim);
    cells.emplace_back(std::move(value));
  }
  if (cells.size() % 4 != 0) cells.insert(cells.end(), 2, "");
  Table table({{""}, {""}, {""}, {""}});
  for (std::size_t i = 0; i < cells.size(); i += 4) {
    table.AddRow({cells[i], cells[i + 1], cells[i + 2], cells[i + 3]});
  }
  return table;
}

Table Timeline(const v1::TrainingJob& job) {
  Table table({{"  at"}, {"state"}, {"for", Table::Align::kRight}, {""}});
  for (int i = 0; i < job.transitions_size(); ++i) {
    const v1::StateTransition& transition = job.transitions(i);
    const absl::Time begin = ToTime(transition.time());
    const bool last = i + 1 == job.transitions_size();
    const absl::Time end = last ? absl::Now() : ToTime(job.transitions(i + 1).time());
    table.AddRow({{absl::StrCat("  ", DateTime(begin)), Ink::kDim},
                  {StateText(transition.state()), InkOf(transition.state())},
                  HasEnded(transition.state()) ? "" : Duration(end - begin),
                  {transition.message(), Ink::kDim}});
  }
  return table;
}

Table Attempts(const v1::TrainingJob& job) {
  const bool placed = std::any_of(job.attempts().begin(), job.attempts().end(),
                                  [](const v1::Attempt& one) { return !one.place().empty(); });
  std::vector<Table::Column> columns = {
      {"  attempt"}, {"cores"}, {"started from"}, {"duration"}, {"end"}};
  if (placed) columns.push_back({"place"});
  Table table(std::move(columns));
  for (const v1::Attempt& attempt : job.attempts()) {
    const absl::Time end = attempt.has_end_time() ? ToTime(attempt.end_time()) : absl::Now();
    std::vector<Table::Cell> row = {
        absl::StrCat("  ", attempt.number()), absl::StrCat(attempt.cores()),
        attempt.resumed_epoch() > 0
            ? absl::StrCat("the checkpoint of epoch ", attempt.resumed_epoch())
            : "scratch",
        Duration(end - ToTime(attempt.start_time())),
        attempt.has_end_time() ? attempt.end_reason() : "still running"};
    if (placed) row.push_back(attempt.place());
    table.AddRow(std::move(row));
  }
  return table;
}

// The result, further metrics, and which code computed it.
Table FullResult(const v1::TrainingJob& job) {
  const v1::TrainingResult& result = job.result();
  Table table = ResultTable(job);
  table.AddRow({{"  F1", Ink::kDim}, F1Text(result)});
  table.AddRow({{"  calibration", Ink::kDim}, CalibrationText(result)});
  table.AddRow({{"  computed by", Ink::kDim}, PathText(result)});
  if (!result.archive_uri().empty()) {
    table.AddRow({{"  archive", Ink::kDim}, result.archive_uri()});
  }
  return table;
}

Table ImportTable(const v1::ImportSpec& spec) {
  Table table({{""}, {""}});
  const auto add = [&](const char* title, const std::string& value) {
    table.AddRow({{absl::StrCat("  ", title), Ink::kDim}, value});
  };
  add("data set", spec.dataset());
  add("source", absl::StrCat(spec.source_name(), ", ", Bytes(spec.size_bytes()), ", SHA-256 ",
                             spec.sha256().substr(0, 12)));
  const v1::ImportOptions& options = spec.options();
  add("size", options.height() == 0 ? std::string("the most frequent")
                                    : absl::StrCat(options.height(), "×", options.width()));
  add("color", EnumWord(v1::ImportColor_descriptor(), options.color()));
  add("fit", EnumWord(v1::ImportFit_descriptor(), options.fit()));
  add("axes", EnumWord(v1::ArrayAxes_descriptor(), options.axes()));
  if (options.invert()) add("inverted", "yes");
  if (!options.class_names().empty()) add("classes", NameList(options.class_names()));
  add("test fraction", Percent(options.test_fraction(), 0));
  add("validation", Percent(options.validation_fraction(), 0));
  add("resources", absl::StrCat(Count(spec.cores(), "core"), ", ", Bytes(spec.memory_bytes())));
  return table;
}

Table Specification(const v1::TrainingJob& job) {
  switch (KindOf(job)) {
    case JobKind::kImport:
      return ImportTable(job.import());
    case JobKind::kEvaluation:
      return EvaluationTable(job.evaluation());
    case JobKind::kCheck:
      return CheckTable(job.check());
    case JobKind::kTraining:
      break;
  }
  return SpecTable(job.spec());
}

Table ImportResultTable(const v1::ImportResult& result) {
  Table table({{""}, {""}});
  const auto add = [&](const char* title, const std::string& value) {
    table.AddRow({{absl::StrCat("  ", title), Ink::kDim}, value});
  };
  add("data set", ShortDataset(result.dataset_version()));
  add("training", Count(result.training_images()));
  if (result.validation_images() > 0) add("validation", Count(result.validation_images()));
  add("test", Count(result.test_images()));
  add("time", Duration(absl::Seconds(result.seconds())));
  return table;
}

std::string ImageProgressText(const v1::Progress& progress) {
  std::string text = absl::StrCat("  ", ImageProgress(progress));
  if (progress.has_time_left()) {
    absl::StrAppend(&text, ", ", Duration(ToDuration(progress.time_left())), " left");
  }
  return text + "\n";
}

std::string TrainingProgressText(const v1::Progress& progress) {
  std::string text = absl::StrCat("  epoch ", progress.epoch(), " of ", progress.epochs(),
                                  ", step ", progress.step(), " of ", progress.steps_per_epoch(),
                                  ", ", Count(std::llround(progress.images_per_second())),
                                  " images/s, training loss ", Loss(progress.training_loss()),
                                  ", accuracy ", Percent(progress.training_accuracy(), 1));
  if (progress.has_time_left()) {
    absl::StrAppend(&text, ", ", Duration(ToDuration(progress.time_left())), " left");
  }
  return text + "\n";
}

void PrintText(Session& session, const v1::TrainingJob& job) {
  const Style& style = session.style();
  const int width = session.terminal().width();
  const auto section = [&](const char* title, const std::string& text) {
    session.Print(absl::StrCat("\n", style.Paint(Ink::kBold, title), "\n", text));
  };
  session.Print(absl::StrCat(style.Paint(Ink::kBold, Leaf(job.name())), "  ",
                             HasEnded(job.state())
                                 ? Ending(job, style)
                                 : style.Paint(InkOf(job.state()), StateText(job.state())),
                             "\n"));
  if (job.has_queue_position()) {
    session.Print(
        absl::StrCat("  ", Count(job.queue_position(), "job"), " ahead of it in the queue\n"));
  }
  if (!job.waiting_reason().empty()) {
    session.Print(absl::StrCat("  ", style.Paint(Ink::kYellow, job.waiting_reason()), "\n"));
  }
  if (!job.creator().empty()) session.Print(absl::StrCat("  started by ", job.creator(), "\n"));
  if (job.has_start()) {
    session.Print(absl::StrCat("  ", style.Paint(Ink::kCyan, StartText(job.start())), "\n"));
  }
  section("Specification", Specification(job).Render(style, width));
  section("History", Timeline(job).Render(style, width));
  if (job.attempts_size() > 1 || (job.attempts_size() == 1 && !job.attempts(0).place().empty())) {
    section("Attempts", Attempts(job).Render(style, width));
  }
  if (job.has_progress() && !HasEnded(job.state())) {
    section("Progress", KindOf(job) == JobKind::kTraining ? TrainingProgressText(job.progress())
                                                          : ImageProgressText(job.progress()));
  }
  if (job.has_import_result()) {
    section("Result", ImportResultTable(job.import_result()).Render(style, width));
    session.Print(ImportNotes(job.import_result(), style));
  }
  if (const std::string text = ScoringResultText(job, style, width); !text.empty()) {
    section("Result", text);
  }
  if (job.has_result()) {
    section("Result", FullResult(job).Render(style, width));
    session.Print(NotesText(job.result().warnings(), style));
  }
}

// The first images of an evaluation or a check, and where there are more.
void PrintPredictions(Session& session, const v1::TrainingJob& job) {
  constexpr int kShown = 10;
  const auto found = FetchPredictions(session, job, kShown);
  if (!found.ok() || found->predictions().empty()) return;
  session.Print(absl::StrCat("\n", session.style().Paint(Ink::kBold, TitleOf(job)), "\n",
                             PredictionsText(session, job, *found)));
}

absl::StatusOr<int> Show(Session& session, const std::string& text) {
  v1::GetJobRequest request;
  auto name = JobName(text);
  if (!name.ok()) return name.status();
  request.set_name(*std::move(name));
  const auto job = session.Call(&TrainingService::GetJob, request);
  if (!job.ok()) return job.status();
  switch (session.format()) {
    case OutputFormat::kText:
      PrintText(session, *job);
      PrintPredictions(session, *job);
      break;
    case OutputFormat::kJson:
      session.PrintJson(*job);
      break;
    case OutputFormat::kCsv:
      session.Print(CsvLine(JobCsvNames()) + CsvLine(JobCsvValues(*job)));
      break;
  }
  return ExitCodeOf(job->state());
}

}  // namespace

void AddShow(CommandSet* commands) {
  const auto job = std::make_shared<std::string>();
  CLI::App* const command = commands->Add(
      {"show",
       "Show all details of a job",
       "Exit codes: 0 completed, 100 failed, 101 not finished, 103 stopped, 102 no such job.",
       {{"atelier show cnn-3-20260101-120000", ""},
        {"atelier --output=json show cnn-3-20260101-120000", "for programs"}}},
      [job](Session& session) {
        return ExplainKind(session, *job, {Kind::kJob}, Show(session, *job));
      });
  command->add_option("JOB", *job, "The job")->required()->type_name("");
}

}  // namespace atelier::client
