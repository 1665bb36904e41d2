// `atelier show`: prints all details of a job.
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "client/calls/arguments.h"
#include "client/calls/resource_kind.h"
#include "client/commands/commands.h"
#include "client/following/job_text.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"

namespace atelier::client {
namespace {

std::string Number(double value) { return absl::StrFormat("%g", value); }

Table SpecTable(const v1::TrainingSpec& spec) {
  Table table({{""}, {""}, {""}, {""}});
  const auto add = [&table](const char* left, std::string left_value, const char* right,
                            std::string right_value) {
    table.AddRow({{absl::StrCat("  ", left), Ink::kDim},
                  std::move(left_value),
                  {absl::StrCat("  ", right), Ink::kDim},
                  std::move(right_value)});
  };
  add("network", spec.preset(), "data set", spec.dataset());
  add("epochs", Count(spec.epochs()), "batch size", Count(spec.batch_size()));
  add("learning rate", Number(spec.learning_rate()), "dropout", Number(spec.dropout()));
  add("patience", Count(spec.patience(), "epoch"), "validation",
      absl::StrCat(Percent(spec.validation_fraction(), 0), " of the training images"));
  add("seed", absl::StrCat(spec.seed()), "recipe",
      EnumWord(v1::Recipe_descriptor(), spec.recipe()));
  add("schedule", EnumWord(v1::Schedule_descriptor(), spec.schedule()), "warm-up",
      spec.schedule() == v1::SCHEDULE_ONE_CYCLE
          ? absl::StrCat(Percent(spec.warmup_fraction(), 0), " of the steps")
          : "none");
  add("flip", spec.horizontal_flip() ? "half of the images" : "none", "shift",
      spec.shift() > 0 ? absl::StrCat("up to ", Count(spec.shift(), "pixel")) : "none");
  add("erasing", absl::StrCat(Percent(spec.erasing(), 0), " of the images"), "label smoothing",
      Number(spec.label_smoothing()));
  add("weight decay", Number(spec.weight_decay()), "average decay", Number(spec.average_decay()));
  // Jobs that an earlier server stored name none; it was the same.
  add("batch norm",
      absl::StrCat("momentum ",
                   Number(spec.has_batch_norm_momentum() ? spec.batch_norm_momentum() : 0.01)),
      "shards", absl::StrCat(spec.shards()));
  add("precision", EnumWord(v1::Precision_descriptor(), spec.precision()), "model",
      spec.model_name());
  add("cores", absl::StrCat(spec.cores()), "memory", Bytes(spec.memory_bytes()));
  // Jobs that an earlier server stored name none.
  const bool named = spec.serving_precision() != v1::PRECISION_UNSPECIFIED;
  add("device", EnumWord(v1::Device_descriptor(), spec.device()), "serving precision",
      EnumWord(v1::Precision_descriptor(),
               named ? spec.serving_precision() : v1::PRECISION_FLOAT32));
  add("priority", absl::StrCat(spec.priority()), "", "");
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
  Table table({{"  attempt"}, {"cores"}, {"started from"}, {"duration"}, {"end"}});
  for (const v1::Attempt& attempt : job.attempts()) {
    const absl::Time end = attempt.has_end_time() ? ToTime(attempt.end_time()) : absl::Now();
    table.AddRow({absl::StrCat("  ", attempt.number()), absl::StrCat(attempt.cores()),
                  attempt.resumed_epoch() > 0
                      ? absl::StrCat("the checkpoint of epoch ", attempt.resumed_epoch())
                      : "scratch",
                  Duration(end - ToTime(attempt.start_time())),
                  attempt.has_end_time() ? attempt.end_reason() : "still running"});
  }
  return table;
}

// The result, and which code computed it.
Table ResultAndPath(const v1::TrainingJob& job) {
  Table table = ResultTable(job);
  table.AddRow({{"  computed by", Ink::kDim}, PathText(job.result())});
  return table;
}

std::string ProgressText(const v1::Progress& progress) {
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
  section("Specification", SpecTable(job.spec()).Render(style, width));
  section("History", Timeline(job).Render(style, width));
  if (job.attempts_size() > 1) section("Attempts", Attempts(job).Render(style, width));
  if (job.has_progress() && !HasEnded(job.state())) {
    section("Progress", ProgressText(job.progress()));
  }
  if (job.has_result()) {
    section("Result", ResultAndPath(job).Render(style, width));
    session.Print(WarningsText(job.result(), style));
  }
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
