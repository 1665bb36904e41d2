// `atelier datasets images`: a picture of a data set's images side by side.
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "client/calls/arguments.h"
#include "client/commands/dataset_commands.h"
#include "client/commands/picture_target.h"
#include "client/files/picture_files.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"

namespace atelier::client {
namespace {

struct ImagesOptions {
  std::string name;
  v1::GetImageSheetRequest request;
  PictureTarget target;
};

std::string SheetCsv(const v1::ImageSheet& sheet) {
  std::string csv = CsvLine({"row", "column", "class", "index"});
  for (int i = 0; i < sheet.indices_size() && sheet.columns() > 0; ++i) {
    const int row = i / sheet.columns();
    if (sheet.indices(i) < 0 || row >= sheet.row_classes_size()) continue;
    absl::StrAppend(&csv, CsvLine({absl::StrCat(row), absl::StrCat(i % sheet.columns()),
                                   sheet.row_classes(row), absl::StrCat(sheet.indices(i))}));
  }
  return csv;
}

// `digits-v3-test.png`.
std::string FileName(const v1::ImageSheet& sheet) {
  const std::string split = EnumWord(v1::DatasetSplit_descriptor(), sheet.split());
  return absl::StrCat(absl::StrReplaceAll(ShortDataset(sheet.dataset()), {{"@", "-v"}, {"/", "-"}}),
                      "-", split, ".png");
}

std::string SheetText(const v1::ImageSheet& sheet, const std::string& path) {
  return absl::StrCat(
      ShortDataset(sheet.dataset()), ", ", EnumWord(v1::DatasetSplit_descriptor(), sheet.split()),
      " images, row by row: ", absl::StrJoin(sheet.row_classes(), ", "), "\nWrote ",
      EscapeControls(path), ", ", Bytes(static_cast<std::int64_t>(sheet.png().size())), ".\n");
}

absl::StatusOr<int> Images(Session& session, const ImagesOptions& options) {
  auto name = DatasetName(options.name);
  if (!name.ok()) return name.status();
  v1::GetImageSheetRequest request = options.request;
  request.set_name(*std::move(name));
  const auto sheet = session.Call(&DatasetService::GetImageSheet, request);
  if (!sheet.ok()) return sheet.status();
  const auto path = WritePicture(session, options.target, FileName(*sheet), sheet->png());
  if (!path.ok()) return path.status();
  switch (session.format()) {
    case OutputFormat::kText:
      session.Print(SheetText(*sheet, *path));
      ShowPicture(session.terminal(), sheet->png());
      break;
    case OutputFormat::kJson:
      session.PrintJson(*sheet);
      break;
    case OutputFormat::kCsv:
      session.Print(SheetCsv(*sheet));
      break;
  }
  return kDone;
}

}  // namespace

void AddDatasetImages(CommandSet* commands, CLI::App* family) {
  const auto options = std::make_shared<ImagesOptions>();
  CLI::App* const command = commands->Add(
      {"images",
       "Draw images of a data set side by side",
       "Writes a PNG file with a row of images for each class, or with --class of one class "
       "alone.\n"
       "Terminals with graphics (kitty, Ghostty, iTerm2, WezTerm, mintty) also show it. With\n"
       "--output=json or csv a file is written only if -o is given.",
       {{"atelier datasets images digits", ""},
        {"atelier datasets images digits@2 --class seven --split training -o sevens.png", ""}}},
      [options](Session& session) { return Images(session, *options); }, family);
  command->add_option("NAME", options->name, "NAME or NAME@VERSION")->required()->type_name("");
  command
      ->add_option_function<std::string>(
          "--class", [options](const std::string& name) { options->request.set_class_name(name); },
          "Only images of this class [a row for each]")
      ->type_name("CLASS");
  AddWordOption(
      command, "--split", v1::DatasetSplit_descriptor(), "training, validation or test [test]",
      [options](int value) { options->request.set_split(static_cast<v1::DatasetSplit>(value)); });
  command
      ->add_option_function<std::int32_t>(
          "--columns", [options](std::int32_t value) { options->request.set_columns(value); },
          "Images in a row, 1 to 40 [10]")
      ->type_name("N")
      ->check(Between(1, 40));
  command
      ->add_option_function<std::int32_t>(
          "--rows", [options](std::int32_t value) { options->request.set_rows(value); },
          "Rows, 1 to 40 [10 of one class, else the number of classes]")
      ->type_name("N")
      ->check(Between(1, 40));
  AddPictureTarget(command, &options->target);
}

}  // namespace atelier::client
