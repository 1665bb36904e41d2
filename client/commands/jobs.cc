// `atelier jobs`: the list of jobs.
#include <algorithm>
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "client/calls/arguments.h"
#include "client/calls/spec_fields.h"
#include "client/commands/commands.h"
#include "client/following/job_text.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"

namespace atelier::client {
namespace {

using Align = Table::Align;

constexpr int kLargestPage = 1000;

struct JobsOptions {
  int limit = 20;
  bool all = false;
  std::vector<std::string> states;
};

Table JobTable() {
  return Table({{"job"},
                {"state"},
                {"network"},
                {"data set", Align::kLeft, true},
                {"epoch", Align::kRight},
                {"val acc", Align::kRight, true},
                {"test acc", Align::kRight},
                {"started", Align::kLeft, true}});
}

void AddJobRow(const v1::TrainingJob& job, Table* table) {
  std::string state = StateText(job.state());
  if (job.has_queue_position()) absl::StrAppend(&state, " #", job.queue_position() + 1);
  if (!job.waiting_reason().empty()) state += " !";
  const auto figure = [&](double fraction) {
    return job.has_result() ? Table::Cell(Percent(fraction)) : Table::Cell("–", Ink::kDim);
  };
  table->AddRow({std::string(Leaf(job.name())),
                 {state, InkOf(job.state())},
                 KindText(job),
                 JobDataset(job),
                 ProgressText(job),
                 figure(job.result().validation_accuracy()),
                 figure(job.result().test_accuracy()),
                 {Age(ToTime(job.create_time()), absl::Now()), Ink::kDim}});
}

// Prints one page; for text, adds it to the table, and why jobs could not be started to `reasons`.
void TakePage(Session& session, const v1::ListJobsResponse& page, Table* table,
              std::string* reasons) {
  for (const v1::TrainingJob& job : page.jobs()) {
    if (session.format() == OutputFormat::kJson) session.PrintJson(job);
    if (session.format() == OutputFormat::kCsv) session.Print(CsvLine(JobCsvValues(job)));
    if (session.text()) AddJobRow(job, table);
    if (job.waiting_reason().empty()) continue;
    absl::StrAppend(reasons, "! ", Leaf(job.name()), ": ", job.waiting_reason(), "\n");
  }
}

void PrintTable(Session& session, const Table& table, const std::string& reasons, bool more,
                int limit) {
  if (table.empty()) {
    session.Print(absl::StrCat("There are no jobs. `", session.Suggest("train --preset cnn-1"),
                               "` starts one.\n"));
    return;
  }
  session.Print(table.Render(session.style(), session.terminal().width()));
  session.Print(reasons);
  if (more) {
    session.Print(absl::StrCat("The newest ", limit, " are shown; `", session.Suggest("jobs --all"),
                               "` lists all.\n"));
  }
}

absl::StatusOr<int> Jobs(Session& session, const JobsOptions& options) {
  v1::ListJobsRequest request;
  for (const std::string& word : options.states) {
    const auto state = ParseEnum(v1::JobState_descriptor(), "--state", word);
    if (!state.ok()) return state.status();
    request.add_states(static_cast<v1::JobState>(*state));
  }
  int left = options.all ? std::numeric_limits<int>::max() : options.limit;
  Table table = JobTable();
  std::string reasons;
  bool begun = false;
  do {
    request.set_page_size(std::min(left, kLargestPage));
    const auto page = session.Call(&TrainingService::ListJobs, request);
    if (!page.ok()) return page.status();
    if (!begun && session.format() == OutputFormat::kCsv) session.Print(CsvLine(JobCsvNames()));
    begun = true;
    TakePage(session, *page, &table, &reasons);
    left -= page->jobs_size();
    request.set_page_token(page->next_page_token());
  } while (left > 0 && !request.page_token().empty());
  if (session.text()) {
    PrintTable(session, table, reasons, !request.page_token().empty(), options.limit);
  }
  return kDone;
}

}  // namespace

void AddJobs(CommandSet* commands) {
  const auto options = std::make_shared<JobsOptions>();
  CLI::App* const command = commands->Add(
      {"jobs",
       "List jobs, newest first",
       absl::StrCat("States: ", absl::StrJoin(EnumWords(v1::JobState_descriptor()), ", "), "."),
       {{"atelier jobs", ""},
        {"atelier jobs --state training --state queued", "queued and running jobs"},
        {"atelier --output=csv jobs --all > jobs.csv", "all results of all jobs"}}},
      [options](Session& session) { return Jobs(session, *options); });
  auto* const limit = command->add_option("--limit", options->limit, "Maximum number of jobs [20]")
                          ->type_name("N")
                          ->check(AtLeast(1));
  command->add_flag("--all", options->all, "List every job")->excludes(limit);
  command->add_option("--state", options->states, "Only jobs in this state; may be repeated")
      ->type_name("STATE")
      ->allow_extra_args(false);
}

}  // namespace atelier::client
