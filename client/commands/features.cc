// `atelier features`: draws the feature maps of an image.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/calls/arguments.h"
#include "client/calls/resource_kind.h"
#include "client/commands/commands.h"
#include "client/commands/image_argument.h"
#include "client/comparing/targets.h"
#include "client/files/picture_files.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/terminal/table.h"

namespace atelier::client {
namespace {

using Align = Table::Align;

struct FeaturesOptions {
  std::string model;
  ImageArgument image;
  // Without model and image.
  v1::GetFeatureMapsRequest request;
  std::string folder;
  bool force = false;
};

// The folder to write to, made if it is not there; its own folder must be.
absl::Status MakeFolder(const std::string& folder) {
  std::error_code error;
  if (folder.empty() || std::filesystem::is_directory(folder, error)) return absl::OkStatus();
  std::filesystem::create_directory(folder, error);
  if (!error) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("-o: ", EscapeControls(folder),
                                          " is not a folder and cannot",
                                          " be created: ", error.message(), "."));
}

std::string FeaturesCsv(const v1::FeatureMaps& maps) {
  std::string csv = CsvLine({"block", "channel", "row", "column", "value"});
  for (const v1::FeatureMap& map : maps.maps()) {
    const std::int64_t width = std::max(map.shape().width(), 1);
    const std::int64_t height = std::max(map.shape().height(), 1);
    std::int64_t i = 0;
    for (const float value : Floats(map.values())) {
      absl::StrAppend(
          &csv, CsvLine({absl::StrCat(map.block()), absl::StrCat(i / width / height),
                         absl::StrCat(i / width % height), absl::StrCat(i % width), Exact(value)}));
      ++i;
    }
  }
  return csv;
}

void PrintFeatures(Session& session, const v1::FeatureMaps& maps, const NamedImage& input,
                   const std::vector<PictureFile>& files) {
  session.Print(absl::StrCat(
      EscapeControls(ShortModel(maps.model_version())), ", ", input.title,
      input.true_class.empty() ? "" : absl::StrCat(", ", EscapeControls(input.true_class)),
      "\n\n"));
  Table table({{"block", Align::kRight}, {"maps"}, {"values"}, {"picture"}});
  for (std::size_t i = 0; i < files.size(); ++i) {
    const v1::FeatureMap& map = maps.maps(static_cast<int>(i));
    table.AddRow({absl::StrCat(map.block()),
                  absl::StrCat(map.shape().channels(), " of ", map.shape().height(), "×",
                               map.shape().width()),
                  absl::StrFormat("%.3g to %.3g", map.minimum(), map.maximum()),
                  EscapeControls(files[i].path)});
  }
  session.Print(table.Render(session.style(), session.terminal().width()));
  for (const PictureFile& file : files) ShowPicture(session.terminal(), file.bytes);
}

absl::StatusOr<v1::FeatureMaps> FetchFeatures(Session& session, const FeaturesOptions& options,
                                              NamedImage* input) {
  const auto model = ModelOf(session, options.model);
  if (!model.ok()) return model.status();
  v1::GetFeatureMapsRequest request = options.request;
  request.set_name(model->ResourceName());
  request.set_values(!session.text());
  auto image = ReadImage(session, options.image, *model);
  if (!image.ok()) return image.status();
  *input = *std::move(image);
  input->MoveTo(&request);
  auto connection = session.Connect();
  if (!connection.ok()) return connection.status();
  // Not through the session, which would make the pictures' bytes readable.
  return (*connection)
      ->Call(&ModelService::GetFeatureMaps, request, {.name_field = input->FieldNames()});
}

absl::StatusOr<int> RunFeatures(Session& session, const FeaturesOptions& options) {
  NamedImage input;
  const auto maps = FetchFeatures(session, options, &input);
  if (!maps.ok()) return maps.status();
  std::vector<PictureFile> files;
  for (const v1::FeatureMap& map : maps->maps()) {
    const std::string name = absl::StrCat(FileStem(maps->model_version()), "-", input.stem,
                                          "-block", map.block(), ".png");
    files.push_back({(std::filesystem::path(options.folder) / name).string(), map.picture().png()});
  }
  if (session.text() || !options.folder.empty()) {
    if (absl::Status status = MakeFolder(options.folder); !status.ok()) return status;
    if (absl::Status status = WritePictures(files, options.force); !status.ok()) return status;
  }
  switch (session.format()) {
    case OutputFormat::kText:
      PrintFeatures(session, *maps, input, files);
      break;
    case OutputFormat::kJson:
      session.PrintJson(*maps);
      break;
    case OutputFormat::kCsv:
      session.Print(FeaturesCsv(*maps));
      break;
  }
  return kDone;
}

}  // namespace

void AddFeatures(CommandSet* commands) {
  const auto options = std::make_shared<FeaturesOptions>();
  CLI::App* const command = commands->Add(
      {"features",
       "Draw the feature maps of an image",
       "Writes a PNG file for each block with a grey tile for each channel, from its smallest "
       "value\n"
       "(black) to its largest (white). Terminals with graphics (kitty, Ghostty, iTerm2, WezTerm,\n"
       "mintty) also show them. With --output=json or csv the values are printed, and files are\n"
       "written only if -o is given.",
       {{"atelier features cnn-3 boot.png", ""},
        {"atelier features cnn-3@2 --test-image=7 --block=1 -o maps", ""}}},
      [options](Session& session) {
        return ExplainKind(session, options->model, {Kind::kModel}, RunFeatures(session, *options));
      });
  AddModelArgument(command, &options->model);
  AddImageArgument(command, &options->image);
  command
      ->add_option_function<std::int32_t>(
          "--block", [options](std::int32_t value) { options->request.set_block(value); },
          "Only this block, from 1 [all]")
      ->type_name("N")
      ->check(AtLeast(1));
  command
      ->add_option_function<std::int32_t>(
          "--zoom", [options](std::int32_t value) { options->request.set_zoom(value); },
          "Pixels per value along each edge, 1 to 32 [2]")
      ->type_name("N")
      ->check(Between(1, 32));
  command
      ->add_option("-o,--output-folder", options->folder,
                   "Target folder, created if missing [current folder]")
      ->type_name("FOLDER");
  command->add_flag("--force", options->force, "Replace existing files");
}

}  // namespace atelier::client
