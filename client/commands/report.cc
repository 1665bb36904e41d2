// `atelier report`: experiments, trainings and evaluations on one page.
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/calls/arguments.h"
#include "client/calls/resource_kind.h"
#include "client/commands/commands.h"
#include "client/files/new_file.h"
#include "client/files/picture_files.h"
#include "client/report/page.h"
#include "client/report/report_data.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/terminal/interrupt.h"

namespace atelier::client {
namespace {

struct ReportOptions {
  std::vector<std::string> names;
  std::string target;
  bool force = false;
};

// `night.html` for one name, `report.html` for several.
std::string DefaultName(const std::vector<std::string>& names) {
  return names.size() == 1 ? absl::StrCat(Leaf(names.front()), ".html") : "report.html";
}

// "20 runs, 1 evaluation".
std::string ContentText(std::size_t runs, std::size_t evaluations) {
  const std::string of_runs = Count(static_cast<std::int64_t>(runs), "run");
  if (evaluations == 0) return of_runs;
  return absl::StrCat(runs == 0 ? "" : of_runs + ", ",
                      Count(static_cast<std::int64_t>(evaluations), "evaluation"));
}

void PrintDone(Session& session, const std::string& path, const report::ReportData& data,
               std::size_t bytes) {
  const std::size_t runs = data.comparison.trials();
  const std::size_t evaluations = data.evaluations.size();
  switch (session.format()) {
    case OutputFormat::kText:
      session.Print(absl::StrCat("Wrote ", EscapeControls(path), ": ",
                                 ContentText(runs, evaluations), ", ",
                                 Bytes(static_cast<std::int64_t>(bytes)), ".\n"));
      break;
    case OutputFormat::kJson:
      session.Print(absl::StrCat(
          nlohmann::ordered_json(
              {{"path", path}, {"runs", runs}, {"evaluations", evaluations}, {"bytes", bytes}})
              .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace),
          "\n"));
      break;
    case OutputFormat::kCsv:
      session.Print(
          CsvLine({"path", "runs", "evaluations", "bytes"}) +
          CsvLine({path, absl::StrCat(runs), absl::StrCat(evaluations), absl::StrCat(bytes)}));
      break;
  }
}

absl::StatusOr<int> Report(Session& session, const ReportOptions& options) {
  const std::string path = PicturePath(options.target, DefaultName(options.names));
  // Fails before anything is fetched.
  std::error_code error;
  if (!options.force && std::filesystem::exists(path, error)) return FileExists(path);
  auto file = NewFile::Create(path);
  if (!file.ok()) return file.status();
  const Interrupt interrupt;
  const auto data = report::GatherReport(session, options.names);
  if (!data.ok()) return data.status();
  const std::string page = report::RenderPage(*data);
  if (const auto status = file->Write(page); !status.ok()) return status;
  if (const auto status = file->Commit(options.force); !status.ok()) return status;
  PrintDone(session, path, *data, page.size());
  return kDone;
}

}  // namespace

void AddReport(CommandSet* commands) {
  const auto options = std::make_shared<ReportOptions>();
  CLI::App* const command = commands->Add(
      {"report",
       "Write an HTML report of experiments, trainings and evaluations",
       "The page is self-contained: it can be opened from disk, printed or mailed. Without -o it\n"
       "is named after the experiment or job, or report.html for several.",
       {{"atelier report depth-study-20260101-120000", "an experiment"},
        {"atelier report cnn-2-20260101-120000 cnn-3-20260101-130000 -o two.html", "jobs"},
        {"atelier report evaluate-cnn-3-20260101-140000", "a model on other data"}}},
      [options](Session& session) {
        return ExplainKind(session, options->names.front(), {Kind::kJob, Kind::kExperiment},
                           Report(session, *options));
      });
  command->add_option("NAME", options->names, "Experiments, trainings and evaluations")
      ->required()
      ->type_name("");
  command->add_option("-o,--output-file", options->target, "Target file or folder [./NAME.html]")
      ->type_name("PATH");
  command->add_flag("--force", options->force, "Replace an existing file");
}

}  // namespace atelier::client
