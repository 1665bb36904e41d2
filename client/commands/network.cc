// `atelier network`: a network, layer by layer, before it is trained.
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/calls/arguments.h"
#include "client/calls/network_file.h"
#include "client/calls/spec_fields.h"
#include "client/commands/commands.h"
#include "client/comparing/targets.h"
#include "client/files/picture_files.h"
#include "client/report/network_layout.h"
#include "client/report/network_picture.h"
#include "client/terminal/display_text.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/terminal/table.h"

namespace atelier::client {
namespace {

struct NetworkOptions {
  std::string network;  // A preset or a file.
  std::string dataset;
  std::string input;
  int classes = 0;
  std::string target;  // Of the drawing; empty for none.
  bool force = false;
};

// `1x28x28`: channels, height, width.
absl::StatusOr<v1::ImageShape> ParseShape(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, 'x');
  std::int32_t channels = 0;
  std::int32_t height = 0;
  std::int32_t width = 0;
  if (parts.size() != 3 || !absl::SimpleAtoi(parts[0], &channels) ||
      !absl::SimpleAtoi(parts[1], &height) || !absl::SimpleAtoi(parts[2], &width)) {
    return absl::InvalidArgumentError(absl::StrCat("--input: '", EscapeControls(text),
                                                   "' is not CxHxW, such as 1x28x28 or 3x32x32."));
  }
  v1::ImageShape shape;
  shape.set_channels(channels);
  shape.set_height(height);
  shape.set_width(width);
  return shape;
}

// The specification of a trained network, its network and data set alone.
absl::StatusOr<v1::TrainingSpec> SpecOfTrained(Session& session, const std::string& text) {
  v1::TrainingSpec spec;
  v1::TrainingResult result;
  if (absl::StartsWith(text, "jobs/")) {
    const auto job = GetTarget(session, text);
    if (!job.ok()) return job.status();
    if (const auto* found = std::get_if<v1::TrainingJob>(&*job)) {
      spec = found->spec();
      result = found->result();
    }
  } else {
    const auto reference = ModelOf(session, text);
    if (!reference.ok()) return reference.status();
    const auto version = GetVersion(session, *reference);
    if (!version.ok()) return version.status();
    spec = version->spec();
    result = version->result();
  }
  v1::TrainingSpec kept;
  if (spec.has_network()) {
    *kept.mutable_network() = spec.network();
  } else {
    kept.set_preset(spec.preset());
  }
  kept.set_standardize(spec.standardize());
  if (result.has_standardization()) {
    *kept.mutable_network()->mutable_standardization() = result.standardization();
  }
  kept.set_dataset(spec.dataset());
  return kept;
}

// Whether a text names what was trained, whose version has an @ or a prefix.
bool NamesTrained(absl::string_view text) {
  return absl::StartsWith(text, "jobs/") || absl::StartsWith(text, "models/") ||
         absl::StartsWith(text, "experiments/") || absl::StrContains(text, '@');
}

// What else has a dot or a slash is a file.
absl::StatusOr<v1::TrainingSpec> SpecOf(Session& session, const std::string& text) {
  if (NamesTrained(text)) {
    return SpecOfTrained(session, text);
  }
  v1::TrainingSpec spec;
  if (!absl::StrContains(text, '.') && !absl::StrContains(text, '/')) {
    spec.set_preset(text);
    return spec;
  }
  auto network = ReadNetworkFile(text);
  if (!network.ok()) return network.status();
  *spec.mutable_network() = *std::move(network);
  return spec;
}

absl::StatusOr<v1::DescribeNetworkRequest> RequestFor(Session& session,
                                                      const NetworkOptions& options) {
  v1::DescribeNetworkRequest request;
  auto spec = SpecOf(session, options.network);
  if (!spec.ok()) return spec.status();
  *request.mutable_spec() = *std::move(spec);
  if (!request.spec().dataset().empty()) {
    auto trained_on = DatasetName(request.spec().dataset());
    if (!trained_on.ok()) return trained_on.status();
    request.set_dataset(*std::move(trained_on));
  }
  if (!options.dataset.empty()) {
    auto name = DatasetName(options.dataset);
    if (!name.ok()) return name.status();
    request.set_dataset(*std::move(name));
  }
  if (!options.input.empty()) {
    auto shape = ParseShape(options.input);
    if (!shape.ok()) return shape.status();
    *request.mutable_input() = *std::move(shape);
  }
  request.set_classes(options.classes);
  return request;
}

std::string LayerTable(Session& session, const v1::NetworkDescription& network) {
  Table table({{"layer"},
               {"what it computes"},
               {"output", Table::Align::kRight},
               {"parameters", Table::Align::kRight},
               {"multiply-adds", Table::Align::kRight},
               {"sees", Table::Align::kRight, true}});
  for (const v1::LayerDescription& layer : network.layers()) {
    table.AddRow(
        {absl::StrCat(std::string(static_cast<std::size_t>(2 * layer.depth()), ' '), layer.name()),
         layer.description(), report::ShapeText(layer.output(), layer.flat()),
         layer.parameter_count() == 0 ? "" : Count(layer.parameter_count()),
         layer.multiply_adds() == 0 ? "" : Count(layer.multiply_adds()),
         absl::StrCat(layer.receptive_height(), "×", layer.receptive_width())});
  }
  return table.Render(session.style(), session.terminal().width());
}

// Writes the drawing if it is wanted; what to say of it.
absl::StatusOr<std::string> WriteDrawing(const NetworkOptions& options,
                                         const v1::NetworkDescription& network) {
  if (options.target.empty()) return "";
  const std::string name = network.network().name();
  const std::string path =
      PicturePath(options.target, absl::StrCat(name.empty() ? "network" : name, ".svg"));
  const absl::Status written =
      WritePictures({{path, report::NetworkSvgFile(network)}}, options.force);
  if (!written.ok()) return written;
  return absl::StrCat("Wrote ", EscapeControls(path), ".\n");
}

void PrintCsv(Session& session, const v1::NetworkDescription& network) {
  session.Print(
      CsvLine({"name", "depth", "description", "channels", "height", "width", "flat",
               "parameter_count", "multiply_adds", "receptive_height", "receptive_width"}));
  for (const v1::LayerDescription& layer : network.layers()) {
    const v1::ImageShape& shape = layer.output();
    session.Print(
        CsvLine({layer.name(), absl::StrCat(layer.depth()), layer.description(),
                 absl::StrCat(shape.channels()), absl::StrCat(shape.height()),
                 absl::StrCat(shape.width()), layer.flat() ? "true" : "false",
                 absl::StrCat(layer.parameter_count()), absl::StrCat(layer.multiply_adds()),
                 absl::StrCat(layer.receptive_height()), absl::StrCat(layer.receptive_width())}));
  }
}

// OK if it can be trained, else every mistake.
absl::Status MistakesOf(const NetworkOptions& options, const v1::NetworkDescription& network) {
  if (network.problems().empty()) return absl::OkStatus();
  std::string text = absl::StrCat(EscapeControls(options.network), " cannot be trained:");
  for (const std::string& problem : network.problems()) absl::StrAppend(&text, "\n  ", problem);
  return absl::InvalidArgumentError(text);
}

absl::StatusOr<v1::NetworkDescription> Describe(Session& session, const NetworkOptions& options) {
  const auto request = RequestFor(session, options);
  if (!request.ok()) return request.status();
  auto network = session.Call(&TrainingService::DescribeNetwork, *request);
  if (!network.ok()) return network.status();
  if (const auto status = MistakesOf(options, *network); !status.ok()) return status;
  return network;
}

absl::StatusOr<int> Show(Session& session, const NetworkOptions& options) {
  const auto network = Describe(session, options);
  if (!network.ok()) return network.status();
  const auto drawn = WriteDrawing(options, *network);
  if (!drawn.ok()) return drawn.status();
  switch (session.format()) {
    case OutputFormat::kText:
      session.Print(absl::StrCat(LayerTable(session, *network), "\n",
                                 report::NetworkTotals(*network), "\n", *drawn));
      break;
    case OutputFormat::kJson:
      session.Print(NetworkJson(network->network()));
      break;
    case OutputFormat::kCsv:
      PrintCsv(session, *network);
      break;
  }
  return kDone;
}

absl::StatusOr<int> Check(Session& session, const NetworkOptions& options) {
  const auto network = Describe(session, options);
  if (!network.ok()) return network.status();
  if (session.format() == OutputFormat::kJson) {
    session.PrintJson(*network);
  } else {
    session.Print(absl::StrCat(EscapeControls(options.network), ": ",
                               Count(network->layers_size(), "layer"), ", ",
                               Count(network->parameter_count(), "parameter"), ", no mistakes.\n"));
  }
  return kDone;
}

void AddOptions(CLI::App* command, const std::shared_ptr<NetworkOptions>& options) {
  command
      ->add_option("NETWORK", options->network,
                   "A preset, a file with a network in JSON, MODEL@VERSION, or jobs/JOB")
      ->required()
      ->type_name("");
  command->add_option("--dataset", options->dataset, "For its images and classes [fashion-mnist]")
      ->type_name("NAME");
  command->add_option("--input", options->input, "Channels, height and width of the images")
      ->type_name("CxHxW");
  command->add_option("--classes", options->classes, "Number of classes [the data set's]")
      ->type_name("N");
}

}  // namespace

void AddNetwork(CommandSet* commands) {
  CLI::App* const family = commands->AddFamily("network", "See a network before it is trained");
  const auto shown = std::make_shared<NetworkOptions>();
  CLI::App* const show = commands->Add(
      {"show",
       "Print a network layer by layer",
       "Output shapes, parameters, multiply-adds, and the part of the image that one output sees\n"
       "(receptive field). With --output=json the network itself, ready to be edited and given to\n"
       "`atelier train --network`. With -o also a drawing of it, SVG.",
       {{"atelier network show cnn-3", ""},
        {"atelier network show lenet-5.json --input 3x32x32 --classes 100", ""},
        {"atelier network show mine@2", "the network of a model's version"},
        {"atelier network show resnet -o resnet.svg", "a drawing"},
        {"atelier --output=json network show cnn-1 > mine.json", "to start from"}}},
      [shown](Session& session) { return Show(session, *shown); }, family);
  AddOptions(show, shown);
  show->add_option("-o,--output-file", shown->target, "Draw it: target SVG file or folder")
      ->type_name("PATH");
  show->add_flag("--force", shown->force, "Replace an existing file");
  const auto checked = std::make_shared<NetworkOptions>();
  CLI::App* const check = commands->Add(
      {"check",
       "Name every mistake in a network",
       "Exit codes: 0 no mistakes, 1 mistakes.",
       {{"atelier network check mine.json", ""},
        {"atelier network check mine.json --dataset mnist", "for its images"}}},
      [checked](Session& session) { return Check(session, *checked); }, family);
  AddOptions(check, checked);
}

}  // namespace atelier::client
