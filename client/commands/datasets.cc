// `atelier datasets`: lists the server's data sets.
#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/calls/arguments.h"
#include "client/commands/commands.h"
#include "client/terminal/display_text.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/terminal/table.h"

namespace atelier::client {
namespace {

using Align = Table::Align;

// Of a checksum in a table: enough to tell data sets apart. --output=json has all of them.
constexpr int kChecksumDigits = 12;

std::string ShapeText(const v1::ImageShape& shape) {
  return absl::StrCat(shape.height(), "×", shape.width(), "×", shape.channels());
}

void PrintText(Session& session, const std::vector<v1::Dataset>& datasets) {
  Table table({{"data set"},
               {"training", Align::kRight},
               {"test", Align::kRight},
               {"images"},
               {"checksum", Align::kLeft, true},
               {"classes"}});
  int longest = 8;
  for (const v1::Dataset& dataset : datasets) {
    longest = std::max(longest, DisplayWidth(Leaf(dataset.name())));
  }
  // What the other columns leave; the names are cut off there rather than broken.
  const int room = std::max(12, session.terminal().width() - longest - 29 - kChecksumDigits - 2);
  for (const v1::Dataset& dataset : datasets) {
    if (!dataset.problem().empty()) {
      table.AddRow({std::string(Leaf(dataset.name())),
                    "",
                    "",
                    "",
                    "",
                    {absl::StrCat("unusable: ", dataset.problem()), Ink::kRed}});
      continue;
    }
    table.AddRow({std::string(Leaf(dataset.name())), Count(dataset.training_images()),
                  Count(dataset.test_images()), ShapeText(dataset.image_shape()),
                  dataset.checksum().substr(0, kChecksumDigits),
                  Clip(absl::StrCat(dataset.class_names_size(), ": ",
                                    absl::StrJoin(dataset.class_names(), ", ")),
                       room)});
  }
  session.Print(table.empty() ? std::string("The server has no data sets; start atelierd with "
                                            "--datasets=NAME=FOLDER.\n")
                              : table.Render(session.style(), session.terminal().width()));
  for (const v1::Dataset& dataset : datasets) {
    if (dataset.warnings().empty()) continue;
    session.Print(absl::StrCat("\n", Leaf(dataset.name()), "\n"));
    for (const std::string& warning : dataset.warnings()) {
      session.Print(absl::StrCat("  ", session.style().Paint(Ink::kYellow, warning), "\n"));
    }
  }
}

void PrintCsv(Session& session, const std::vector<v1::Dataset>& datasets) {
  session.Print(CsvLine({"name", "training_images", "test_images", "channels", "height", "width",
                         "classes", "problem", "checksum", "warnings"}));
  for (const v1::Dataset& dataset : datasets) {
    const v1::ImageShape& shape = dataset.image_shape();
    session.Print(CsvLine({dataset.name(), absl::StrCat(dataset.training_images()),
                           absl::StrCat(dataset.test_images()), absl::StrCat(shape.channels()),
                           absl::StrCat(shape.height()), absl::StrCat(shape.width()),
                           absl::StrCat(dataset.class_names_size()), dataset.problem(),
                           dataset.checksum(), absl::StrJoin(dataset.warnings(), " ")}));
  }
}

absl::StatusOr<std::vector<v1::Dataset>> Fetch(Session& session, const std::string& wanted) {
  if (wanted.empty()) {
    auto all = session.Call(&DatasetService::ListDatasets, v1::ListDatasetsRequest());
    if (!all.ok()) return all.status();
    return std::vector<v1::Dataset>(all->datasets().begin(), all->datasets().end());
  }
  v1::GetDatasetRequest request;
  auto name = DatasetName(wanted);
  if (!name.ok()) return name.status();
  request.set_name(*std::move(name));
  auto one = session.Call(&DatasetService::GetDataset, request);
  if (!one.ok()) return one.status();
  return std::vector<v1::Dataset>{*std::move(one)};
}

absl::StatusOr<int> Datasets(Session& session, const std::string& wanted) {
  const auto datasets = Fetch(session, wanted);
  if (!datasets.ok()) return datasets.status();
  switch (session.format()) {
    case OutputFormat::kText:
      PrintText(session, *datasets);
      break;
    case OutputFormat::kJson:
      for (const v1::Dataset& dataset : *datasets) session.PrintJson(dataset);
      break;
    case OutputFormat::kCsv:
      PrintCsv(session, *datasets);
      break;
  }
  return kDone;
}

}  // namespace

void AddDatasets(CommandSet* commands) {
  const auto wanted = std::make_shared<std::string>();
  CLI::App* const command =
      commands->Add({"datasets",
                     "List the server's data sets",
                     "",
                     {{"atelier datasets", ""}, {"atelier datasets fashion-mnist", ""}}},
                    [wanted](Session& session) { return Datasets(session, *wanted); });
  command->add_option("NAME", *wanted, "Show only this data set")->type_name("");
}

}  // namespace atelier::client
