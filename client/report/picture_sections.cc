// The report's section about the inside of a model.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/calls/arguments.h"
#include "client/report/html.h"
#include "client/report/page.h"
#include "client/terminal/figures.h"

namespace atelier::client::report {
namespace {

// Tiles with what they are below them, enlarged by a whole number so that they fit into so many
// pixels where they can.
std::string TilesFigure(const v1::TiledPicture& picture, int width, int height,
                        const std::string& caption, const std::string& words) {
  const int own_width =
      std::max(1, picture.gap() + picture.columns() * (picture.tile_width() + picture.gap()));
  const int own_height =
      std::max(1, picture.gap() + picture.rows() * (picture.tile_height() + picture.gap()));
  const int shown = own_width * std::clamp(std::min(width / own_width, height / own_height), 1, 8);
  return absl::StrCat("<figure class=\"tiled\"><img style=\"width:", shown, "px\" src=\"",
                      PngAddress(picture.png()), "\" alt=\"", Escape(words), "\" title=\"",
                      Escape(words), "\"><figcaption>", Escape(caption), "</figcaption></figure>");
}

std::string FilterFigure(const ModelPictures& pictures) {
  const v1::Filters& filters = pictures.filters;
  const std::int64_t inputs = filters.shape_size() == 4 ? filters.shape(1) : 1;
  const bool rows = inputs > 1 && !filters.color();
  const std::string words =
      absl::StrFormat("The filters of layer %d: %s; %s is %.3g, grey 0, %s %.3g", filters.layer(),
                      rows ? "one row each, with a tile for each input" : "one tile each",
                      filters.color() ? "a dark colour" : "black", -filters.scale(),
                      filters.color() ? "a bright one" : "white", filters.scale());
  return TilesFigure(filters.picture(), 440, 440,
                     absl::StrCat("layer ", filters.layer(), ": ",
                                  Count(filters.shape_size() == 4 ? filters.shape(0) : 0, "filter"),
                                  rows ? absl::StrCat(" (rows) × ", Count(inputs, "input")) : ""),
                     words);
}

std::string ClassFigures(const ModelPictures& pictures) {
  std::string html = "<div class=\"maps\">\n";
  for (const ClassPicture& picture : pictures.classes) {
    const std::string name = Escape(picture.class_name);
    absl::StrAppend(&html, "<div class=\"map-row\"><figure class=\"tiled\"><img class=\"input\" ",
                    "src=\"", PngAddress(picture.png), "\" alt=\"", name, "\" title=\"Test image ",
                    picture.index, ": ", name, "\"><figcaption>", name, "</figcaption></figure>\n");
    for (const v1::FeatureMap& map : picture.maps) {
      const std::string size = absl::StrCat(map.shape().channels(), " of ", map.shape().height(),
                                            "×", map.shape().width());
      absl::StrAppend(
          &html,
          TilesFigure(
              map.picture(), 280, 170, absl::StrCat("block ", map.block(), ": ", size),
              absl::StrFormat("%s after block %d: %s, values from %.3g to %.3g", picture.class_name,
                              map.block(), size, map.minimum(), map.maximum())),
          "\n");
    }
    absl::StrAppend(&html, "</div>\n");
  }
  return html + "</div>\n";
}

}  // namespace

std::string PicturesSection(const ReportData& data) {
  if (!data.pictures.has_value()) return "";
  const ModelPictures& pictures = *data.pictures;
  std::string html = absl::StrCat(
      "<section>\n<h2>Inside the network</h2>\n<p class=\"note\">Of ",
      Escape(ShortModel(pictures.model_version)), ", which ", Escape(Leaf(pictures.job)), " made",
      data.close_looks.size() > 1 ? ": the best on the validation images that has convolutions"
                                  : "",
      ".</p>\n<h3>Learned filters</h3>\n", FilterFigure(pictures));
  if (pictures.filters.layer_count() > 1) {
    absl::StrAppend(&html, "<p class=\"note\">Of the first of ", pictures.filters.layer_count(),
                    " layers; <code>atelier filters ", Escape(ShortModel(pictures.model_version)),
                    " --layer=N</code> draws the others.</p>\n");
  }
  absl::StrAppend(&html, "<h3>Feature maps of one image per class</h3>\n");
  if (pictures.classes.empty()) {
    return html + "<p class=\"note\">The server no longer has the data set.</p>\n</section>\n";
  }
  const bool some = static_cast<int>(pictures.classes[0].maps.size()) < pictures.blocks;
  absl::StrAppend(
      &html,
      "<p class=\"note\">Each tile is a channel after the block, from its smallest value "
      "(black) to its largest (white)",
      some ? "; of blocks whose maps have the same size, the last" : "", ".</p>\n",
      ClassFigures(pictures));
  return html + "</section>\n";
}

}  // namespace atelier::client::report
