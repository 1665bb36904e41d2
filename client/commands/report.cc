// `atelier report`: experiments and jobs on one page.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/exit_codes.h"
#include "client/figures.h"
#include "client/interrupt.h"
#include "client/new_file.h"
#include "client/report/page.h"
#include "client/report/report_data.h"

namespace atelier::client {
namespace {

struct ReportOptions {
  std::vector<std::string> names;
  std::string path;
  bool force = false;
};

absl::StatusOr<int> Report(Session& session, const ReportOptions& options) {
  // Before anything is gathered: it would be for nothing.
  std::error_code error;
  if (std::filesystem::is_directory(options.path, error)) {
    return absl::InvalidArgumentError(
        absl::StrCat("-o: ", EscapeControls(options.path), " is a folder; name a file in it."));
  }
  if (!options.force && std::filesystem::exists(options.path, error)) {
    return FileExists(options.path);
  }
  auto file = NewFile::Create(options.path);
  if (!file.ok()) return file.status();
  const Interrupt interrupt;
  const auto data = report::GatherReport(session, options.names);
  if (!data.ok()) return data.status();
  const std::string page = report::RenderPage(*data);
  if (const auto status = file->Write(page); !status.ok()) return status;
  if (const auto status = file->Commit(options.force); !status.ok()) return status;
  if (session.text()) {
    session.Print(absl::StrCat("Wrote ", EscapeControls(options.path), ": ",
                               Count(static_cast<std::int64_t>(data->comparison.trials()), "run"),
                               ", ", Bytes(static_cast<std::int64_t>(page.size())), ".\n"));
  }
  return kDone;
}

}  // namespace

void AddReport(CommandSet* commands) {
  const auto options = std::make_shared<ReportOptions>();
  CLI::App* const command = commands->Add(
      {"report",
       "Write experiments and jobs as one HTML page",
       "The page needs nothing besides itself: it opens from disk, prints, and can be mailed.",
       {{"atelier report depth-study-20260101-120000 -o study.html", "an experiment"},
        {"atelier report cnn-2-20260101-120000 cnn-3-20260101-130000 -o two.html", "jobs"}}},
      [options](Session& session) { return Report(session, *options); });
  command->add_option("NAME", options->names, "Experiments and jobs")->required()->type_name("");
  command->add_option("-o,--output-file", options->path, "File to write")
      ->required()
      ->type_name("FILE");
  command->add_flag("--force", options->force, "Replace a file that exists");
}

}  // namespace atelier::client
