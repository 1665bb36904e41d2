// `atelier datasets show`: everything that is known of a data set.
#include <memory>

#include "client/calls/arguments.h"
#include "client/commands/dataset_commands.h"
#include "client/commands/dataset_text.h"
#include "client/terminal/exit_codes.h"

namespace atelier::client {
namespace {

absl::StatusOr<int> ShowDataset(Session& session, const std::string& text) {
  const auto dataset = FetchDataset(session, text);
  if (!dataset.ok()) return dataset.status();
  PrintDataset(session, *dataset);
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

void PrintDataset(Session& session, const v1::Dataset& dataset) {
  switch (session.format()) {
    case OutputFormat::kText:
      session.Print(DatasetText(dataset, session.style(), session.terminal().width()));
      break;
    case OutputFormat::kJson:
      session.PrintJson(dataset);
      break;
    case OutputFormat::kCsv:
      session.Print(CsvLine(DatasetCsvNames()) + CsvLine(DatasetCsvValues(dataset)));
      break;
  }
}

void AddDatasetShow(CommandSet* commands, CLI::App* family) {
  const auto name = std::make_shared<std::string>();
  CLI::App* const command = commands->Add(
      {"show",
       "Show a data set: classes, splits, source, warnings",
       "Mean and deviation are of the training images' pixels, 0 to 1, for each channel.",
       {{"atelier datasets show digits", "the newest version"},
        {"atelier datasets show digits@2", ""},
        {"atelier --output=json datasets show digits", "for programs"}}},
      [name](Session& session) { return ShowDataset(session, *name); }, family);
  command->add_option("NAME", *name, "NAME or NAME@VERSION")->required()->type_name("");
}

}  // namespace atelier::client
