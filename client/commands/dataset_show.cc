// `atelier datasets show`: everything that is known of a data set.
#include <memory>

#include "client/calls/arguments.h"
#include "client/commands/dataset_commands.h"
#include "client/commands/dataset_text.h"
#include "client/terminal/exit_codes.h"

namespace atelier::client {
namespace {

struct ShowOptions {
  std::string name;
  bool classes = false;
};

absl::StatusOr<int> ShowDataset(Session& session, const ShowOptions& options) {
  const auto dataset = FetchDataset(session, options.name);
  if (!dataset.ok()) return dataset.status();
  PrintDataset(session, *dataset, options.classes);
  return kDone;
}

}  // namespace

absl::StatusOr<v1::Dataset> FetchDataset(Session& session, const std::string& text) {
  auto name = DatasetName(text);
  if (!name.ok()) return name.status();
  v1::GetDatasetRequest request;
  request.set_name(*std::move(name));
  return session.Call(&DatasetService::GetDataset, request);
}

void PrintDataset(Session& session, const v1::Dataset& dataset, bool all_classes) {
  switch (session.format()) {
    case OutputFormat::kText:
      session.Print(DatasetText(dataset, all_classes, session.style(), session.terminal().width()));
      break;
    case OutputFormat::kJson:
      session.PrintJson(dataset);
      break;
    case OutputFormat::kCsv:
      session.Print(all_classes ? DatasetClassesCsv(dataset)
                                : CsvLine(DatasetCsvNames()) + CsvLine(DatasetCsvValues(dataset)));
      break;
  }
}

void AddDatasetShow(CommandSet* commands, CLI::App* family) {
  const auto options = std::make_shared<ShowOptions>();
  CLI::App* const command = commands->Add(
      {"show",
       "Show a data set: classes, splits, source, warnings",
       "Mean and deviation are of the training images' pixels, 0 to 1, for each channel. Of more\n"
       "than 30 classes the smallest are shown.",
       {{"atelier datasets show digits", "the newest version"},
        {"atelier datasets show digits@2", ""},
        {"atelier --output=csv datasets show digits --classes", "a line per class"},
        {"atelier --output=json datasets show digits", "for programs"}}},
      [options](Session& session) { return ShowDataset(session, *options); }, family);
  command->add_option("NAME", options->name, "NAME or NAME@VERSION")->required()->type_name("");
  command->add_flag("--classes", options->classes,
                    "All classes, however many; in CSV a line for each");
}

}  // namespace atelier::client
