// `atelier datasets`: lists the server's data sets; `datasets delete` deletes pushed ones. Further
// commands in files of their own.
#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/calls/arguments.h"
#include "client/commands/commands.h"
#include "client/commands/dataset_commands.h"
#include "client/commands/dataset_text.h"
#include "client/terminal/display_text.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/terminal/table.h"

namespace atelier::client {
namespace {

using Align = Table::Align;

// Of a checksum in a table: enough to tell data sets apart. --output=json has all of them.
constexpr int kChecksumDigits = 12;

using Listed = google::protobuf::RepeatedPtrField<v1::Dataset>;

void PrintText(Session& session, const Listed& datasets) {
  Table table({{"data set"},
               {"training", Align::kRight},
               {"test", Align::kRight},
               {"images"},
               {"checksum", Align::kLeft, true},
               {"classes"}});
  int longest = 8;
  for (const v1::Dataset& dataset : datasets) {
    longest = std::max(longest, DisplayWidth(ShortDataset(dataset.name())));
  }
  // What the other columns leave; the names are cut off there rather than broken.
  const int room = std::max(12, session.terminal().width() - longest - 29 - kChecksumDigits - 2);
  for (const v1::Dataset& dataset : datasets) {
    const std::string name = ShortDataset(dataset.name());
    if (!dataset.problem().empty()) {
      table.AddRow(
          {name, "", "", "", "", {absl::StrCat("unusable: ", dataset.problem()), Ink::kRed}});
      continue;
    }
    table.AddRow({name, Count(dataset.training_images() + dataset.validation_images()),
                  Count(dataset.test_images()), ShapeText(dataset.image_shape()),
                  dataset.checksum().substr(0, kChecksumDigits),
                  Clip(absl::StrCat(dataset.class_names_size(), ": ",
                                    absl::StrJoin(dataset.class_names(), ", ")),
                       room)});
  }
  session.Print(table.empty()
                    ? absl::StrCat("The server has no data sets. `",
                                   session.Suggest("datasets push NAME PATH"), "` brings one.\n")
                    : table.Render(session.style(), session.terminal().width()));
  for (const v1::Dataset& dataset : datasets) {
    if (dataset.warnings().empty()) continue;
    session.Print(absl::StrCat("\n", ShortDataset(dataset.name()), "\n"));
    for (const std::string& warning : dataset.warnings()) {
      session.Print(absl::StrCat("  ", session.style().Paint(Ink::kYellow, warning), "\n"));
    }
  }
}

// All of them, page by page.
absl::StatusOr<Listed> FetchAll(Session& session) {
  Listed datasets;
  v1::ListDatasetsRequest request;
  do {
    auto page = session.Call(&DatasetService::ListDatasets, request);
    if (!page.ok()) return page.status();
    for (v1::Dataset& dataset : *page->mutable_datasets()) *datasets.Add() = std::move(dataset);
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty() && !session.interrupted());
  return datasets;
}

absl::StatusOr<int> Datasets(Session& session) {
  const auto all = FetchAll(session);
  if (!all.ok()) return all.status();
  const Listed& datasets = *all;
  switch (session.format()) {
    case OutputFormat::kText:
      PrintText(session, datasets);
      break;
    case OutputFormat::kJson:
      for (const v1::Dataset& dataset : datasets) session.PrintJson(dataset);
      break;
    case OutputFormat::kCsv:
      session.Print(CsvLine(DatasetCsvNames()));
      for (const v1::Dataset& dataset : datasets) {
        session.Print(CsvLine(DatasetCsvValues(dataset)));
      }
      break;
  }
  return kDone;
}

struct DatasetDeleteOptions {
  std::string name;
  bool force = false;
};

absl::StatusOr<int> DeleteDataset(Session& session, const DatasetDeleteOptions& options) {
  auto name = DatasetName(options.name);
  if (!name.ok()) return name.status();
  v1::DeleteDatasetRequest request;
  request.set_name(*std::move(name));
  request.set_force(options.force);
  const auto done = session.Call(&DatasetService::DeleteDataset, request);
  if (!done.ok()) return done.status();
  if (session.format() == OutputFormat::kJson) session.PrintJson(*done);
  if (session.text()) session.Print(absl::StrCat("Deleted ", ShortDataset(request.name()), ".\n"));
  return kDone;
}

}  // namespace

void AddDatasetDelete(CommandSet* commands, CLI::App* family) {
  const auto options = std::make_shared<DatasetDeleteOptions>();
  CLI::App* const command = commands->Add(
      {"delete",
       "Delete a pushed data set or one of its versions",
       "Refused while a job that has not ended needs it. Models that were trained on it stay.",
       {{"atelier datasets delete digits@2", "one version"},
        {"atelier datasets delete digits --force", "all versions"}}},
      [options](Session& session) { return DeleteDataset(session, *options); }, family);
  command->add_option("NAME", options->name, "NAME@VERSION, or NAME for all versions")
      ->required()
      ->type_name("");
  command->add_flag("--force", options->force, "Delete several versions, too");
}

void AddDatasets(CommandSet* commands) {
  CLI::App* const family = commands->Add(
      {"datasets",
       "List, push and see data sets",
       "Without a command the data sets are listed, pushed ones with their newest version.\n"
       "`atelier help datasets COMMAND` describes a command.",
       {{"atelier datasets", ""},
        {"atelier datasets push digits pictures/", "a folder with a folder per class"},
        {"atelier datasets show digits", ""}}},
      [](Session& session) { return Datasets(session); });
  AddDatasetPush(commands, family);
  AddDatasetShow(commands, family);
  AddDatasetImages(commands, family);
  AddDatasetCheck(commands, family);
  AddDatasetPull(commands, family);
  AddDatasetDelete(commands, family);
}

}  // namespace atelier::client
