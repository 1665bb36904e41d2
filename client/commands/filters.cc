// `atelier filters`: what a convolution layer of a model has learned.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/calls/arguments.h"
#include "client/calls/resource_kind.h"
#include "client/commands/commands.h"
#include "client/commands/picture_target.h"
#include "client/comparing/targets.h"
#include "client/files/picture_files.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"

namespace atelier::client {
namespace {

struct FiltersOptions {
  std::string model;
  v1::GetFiltersRequest request;
  PictureTarget target;
};

std::string FiltersCsv(const v1::Filters& filters) {
  std::string csv = CsvLine({"filter", "input", "row", "column", "value"});
  if (filters.shape_size() != 4) return csv;
  std::int64_t number = 0;
  for (const float value : Floats(filters.values())) {
    std::int64_t rest = number++;
    const auto next = [&](int dimension) {
      const std::int64_t extent = std::max<std::int64_t>(filters.shape(dimension), 1);
      const std::int64_t index = rest % extent;
      rest /= extent;
      return absl::StrCat(index);
    };
    const std::string column = next(3);
    const std::string row = next(2);
    const std::string input = next(1);
    absl::StrAppend(&csv, CsvLine({absl::StrCat(rest), input, row, column, Exact(value)}));
  }
  return csv;
}

// Which colours stand for which numbers.
std::string Range(const v1::Filters& filters) {
  const double scale = filters.scale();
  return filters.color() ? absl::StrFormat(", red, green and blue from %.3g over grey 0 to %.3g\n",
                                           -scale, scale)
                         : absl::StrFormat(", black %.3g, grey 0, white %.3g\n", -scale, scale);
}

std::string FiltersText(const v1::Filters& filters, const std::string& path) {
  const v1::TiledPicture& picture = filters.picture();
  std::vector<std::string> extents;
  for (int i = 1; i < filters.shape_size(); ++i) {
    extents.push_back(absl::StrCat(filters.shape(i)));
  }
  const std::int64_t count = filters.shape().empty() ? 0 : filters.shape(0);
  return absl::StrCat(EscapeControls(ShortModel(filters.model_version())), ", convolution layer ",
                      filters.layer(), " of ", filters.layer_count(), ": ", Count(count, "filter"),
                      " of ", absl::StrJoin(extents, "×"), Range(filters), "Wrote ",
                      EscapeControls(path), ": ", picture.columns(), "×", picture.rows(),
                      " tiles, ", Bytes(static_cast<std::int64_t>(picture.png().size())), ".\n");
}

absl::StatusOr<int> RunFilters(Session& session, const FiltersOptions& options) {
  const auto model = ModelOf(session, options.model);
  if (!model.ok()) return model.status();
  v1::GetFiltersRequest request = options.request;
  request.set_name(model->ResourceName());
  request.set_values(!session.text());
  auto connection = session.Connect();
  if (!connection.ok()) return connection.status();
  // Not through the session, which would make the picture's bytes readable.
  const auto filters = (*connection)->Call(&ModelService::GetFilters, request);
  if (!filters.ok()) return filters.status();
  const auto path = WritePicture(
      session, options.target,
      absl::StrCat(FileStem(filters->model_version()), "-layer", filters->layer(), ".png"),
      filters->picture().png());
  if (!path.ok()) return path.status();
  switch (session.format()) {
    case OutputFormat::kText:
      session.Print(FiltersText(*filters, *path));
      ShowPicture(session.terminal(), filters->picture().png());
      break;
    case OutputFormat::kJson:
      session.PrintJson(*filters);
      break;
    case OutputFormat::kCsv:
      session.Print(FiltersCsv(*filters));
      break;
  }
  return kDone;
}

}  // namespace

void AddFilters(CommandSet* commands) {
  const auto options = std::make_shared<FiltersOptions>();
  CLI::App* const command = commands->Add(
      {"filters",
       "Draw the filters of a convolution layer",
       "Writes a PNG file of tiles: one per filter, in colour if it sees red, green and blue, or\n"
       "a row per filter with a column for each input channel. Terminals with graphics (kitty,\n"
       "Ghostty, iTerm2, WezTerm, mintty) also show it. With --output=json or csv the values are\n"
       "printed, and a file is written only if -o is given.",
       {{"atelier filters cnn-3", "first layer of the latest version"},
        {"atelier filters cnn-3@2 --layer=2 -o second.png", ""},
        {"atelier filters jobs/cnn-3-20260101-120000", "model of a job"}}},
      [options](Session& session) {
        return ExplainKind(session, options->model, {Kind::kModel}, RunFilters(session, *options));
      });
  AddModelArgument(command, &options->model);
  command
      ->add_option_function<std::int32_t>(
          "--layer", [options](std::int32_t value) { options->request.set_layer(value); },
          "Convolution layer, from 1 [1]")
      ->type_name("N")
      ->check(AtLeast(1));
  command
      ->add_option_function<std::int32_t>(
          "--zoom", [options](std::int32_t value) { options->request.set_zoom(value); },
          "Pixels per value along each edge, 1 to 32 [12]")
      ->type_name("N")
      ->check(Between(1, 32));
  AddPictureTarget(command, &options->target);
}

}  // namespace atelier::client
