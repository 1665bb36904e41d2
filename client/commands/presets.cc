// `atelier presets`: the networks that have a name.
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/calls/arguments.h"
#include "client/commands/commands.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/terminal/table.h"

namespace atelier::client {
namespace {

using Align = Table::Align;

void PrintText(Session& session, const v1::ListPresetsResponse& list) {
  Table table({{"preset"},
               {"conv-depth", Align::kLeft, true},
               {"parameters", Align::kRight},
               {"multiply-adds", Align::kRight},
               {"network"}});
  for (const v1::Preset& preset : list.presets()) {
    const std::string depth = preset.has_conv_depth() ? absl::StrCat(preset.conv_depth()) : "";
    if (!preset.problem().empty()) {
      table.AddRow({preset.name(), depth, "", "", {"unusable: " + preset.problem(), Ink::kRed}});
      continue;
    }
    table.AddRow({preset.name(), depth, Count(preset.parameter_count()),
                  Count(preset.multiply_adds()), preset.description()});
  }
  session.Print(absl::StrCat(table.Render(session.style(), session.terminal().width()),
                             "\nSizes for images of ", ShortDataset(list.dataset()),
                             "; multiply-adds to classify one image.\n"));
}

void PrintCsv(Session& session, const v1::ListPresetsResponse& list) {
  session.Print(CsvLine({"name", "conv_depth", "description", "parameter_count",
                         "trainable_parameter_count", "multiply_adds", "problem", "dataset"}));
  for (const v1::Preset& preset : list.presets()) {
    session.Print(
        CsvLine({preset.name(), preset.has_conv_depth() ? absl::StrCat(preset.conv_depth()) : "",
                 preset.description(), absl::StrCat(preset.parameter_count()),
                 absl::StrCat(preset.trainable_parameter_count()),
                 absl::StrCat(preset.multiply_adds()), preset.problem(), list.dataset()}));
  }
}

absl::StatusOr<int> Presets(Session& session, const std::string& dataset) {
  v1::ListPresetsRequest request;
  if (!dataset.empty()) {
    auto name = DatasetName(dataset);
    if (!name.ok()) return name.status();
    request.set_dataset(*std::move(name));
  }
  const auto list = session.Call(&TrainingService::ListPresets, request);
  if (!list.ok()) return list.status();
  switch (session.format()) {
    case OutputFormat::kText:
      PrintText(session, *list);
      break;
    case OutputFormat::kJson:
      for (const v1::Preset& preset : list->presets()) session.PrintJson(preset);
      break;
    case OutputFormat::kCsv:
      PrintCsv(session, *list);
      break;
  }
  return kDone;
}

}  // namespace

void AddPresets(CommandSet* commands) {
  const auto dataset = std::make_shared<std::string>();
  CLI::App* const command = commands->Add(
      {"presets",
       "List the networks that --preset names",
       "",
       {{"atelier presets", ""}, {"atelier presets --dataset mnist", "sizes for its images"}}},
      [dataset](Session& session) { return Presets(session, *dataset); });
  command->add_option("--dataset", *dataset, "Sizes for this data set [fashion-mnist]")
      ->type_name("NAME");
}

}  // namespace atelier::client
