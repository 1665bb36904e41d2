#include "client/report/network_layout.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/terminal/display_text.h"
#include "client/terminal/figures.h"

namespace atelier::client::report {
namespace {

constexpr double kWide = 132, kNarrow = 84;
// No network has blocks so deep in each other; beyond it they are drawn as one.
constexpr int kMaxDepth = 32;
// Of a character, on average.
constexpr double kCharacter = 6.1;

// Reads a description's list of layers, in which those of a block stand behind it and deeper.
class Reader {
 public:
  explicit Reader(const v1::NetworkDescription& network) : network_(network) {}

  NetworkLayout Read() {
    Stop& image = layout_.stops.emplace_back();
    image.kind = Stop::Kind::kImage;
    image.title = "image";
    image.lines = {ShapeText(network_.input(), false)};
    ReadLayers(0);
    return std::move(layout_);
  }

 private:
  // Layers from the next on as long as they are this deep; the most bypasses above each other.
  int ReadLayers(int depth) {
    int lanes = 0;
    bool open = false;  // Whether the last stop takes more layers.
    while (next_ < network_.layers_size() && network_.layers(next_).depth() >= depth) {
      const v1::LayerDescription& layer = network_.layers(next_++);
      const bool block = layer.depth() < kMaxDepth && next_ < network_.layers_size() &&
                         network_.layers(next_).depth() > layer.depth();
      if (block) {
        lanes = std::max(lanes, ReadBlock(layer));
      } else if (open && layer.multiply_adds() == 0) {
        layout_.stops.back().layers.push_back(layer);
      } else {
        layout_.stops.emplace_back().layers = {layer};
      }
      open = !block;
    }
    return lanes;
  }

  int ReadBlock(const v1::LayerDescription& block) {
    const std::size_t first = layout_.stops.size();
    const int lane = ReadLayers(block.depth() + 1);
    layout_.bypasses.push_back({first, layout_.stops.size(), lane});
    Stop& sum = layout_.stops.emplace_back();
    sum.kind = Stop::Kind::kSum;
    sum.layers = {block};
    return lane + 1;
  }

  const v1::NetworkDescription& network_;
  int next_ = 0;
  NetworkLayout layout_;
};

void AddWrapped(const std::string& text, Stop* stop) {
  const int columns = static_cast<int>(stop->width / kCharacter);
  for (const absl::string_view line : absl::StrSplit(Wrap(text, columns, 0), '\n')) {
    stop->lines.emplace_back(line);
  }
}

// Numbers of the stop's own: those of a block's layers stand at them.
std::int64_t ParametersOf(const NetworkLayout& layout, const Stop& stop, std::size_t index) {
  std::int64_t count = 0;
  for (const v1::LayerDescription& layer : stop.layers) count += layer.parameter_count();
  if (stop.kind != Stop::Kind::kSum) return count;
  const auto bypass = std::find_if(layout.bypasses.begin(), layout.bypasses.end(),
                                   [index](const Bypass& one) { return one.sum == index; });
  for (std::size_t i = bypass->first; i < index; ++i) {
    count -= ParametersOf(layout, layout.stops[i], i);
  }
  return count;
}

void Describe(const NetworkLayout& layout, std::size_t index, Stop* stop) {
  const v1::LayerDescription& first = stop->layers.front();
  const bool wide = stop->kind == Stop::Kind::kLayers && first.multiply_adds() > 0;
  stop->width = wide ? kWide : kNarrow;
  std::vector<std::string> further;
  for (std::size_t i = wide ? 1 : 0; i < stop->layers.size(); ++i) {
    further.push_back(stop->layers[i].description());
  }
  if (wide) {
    stop->title = first.name();
    AddWrapped(first.description(), stop);
  }
  if (!further.empty()) AddWrapped(absl::StrJoin(further, " · "), stop);
  const v1::LayerDescription& last = stop->layers.back();
  stop->lines.push_back(ShapeText(last.output(), last.flat()));
  const std::int64_t parameters = ParametersOf(layout, *stop, index);
  if (parameters > 0) AddWrapped(Count(parameters, "parameter"), stop);
}

// The stops that a row should not part: a block that is in no other, or a single stop.
std::size_t EndOfUnit(const NetworkLayout& layout, std::size_t begin) {
  std::size_t end = begin + 1;
  for (const Bypass& bypass : layout.bypasses) {
    if (bypass.first == begin) end = std::max(end, bypass.sum + 1);
  }
  return end;
}

// Puts the stops into rows of at most this width; gives the number of rows.
std::size_t Place(double max_width, NetworkLayout* layout) {
  double x = 0;
  std::size_t row = 0;
  const auto begin_row = [&] {
    ++row;
    x = 0;
  };
  const auto width_of = [&](std::size_t begin, std::size_t end) {
    double width = -kStopGap;
    for (std::size_t i = begin; i < end; ++i) width += layout->stops[i].width + kStopGap;
    return width;
  };
  for (std::size_t begin = 0; begin < layout->stops.size();) {
    const std::size_t end = EndOfUnit(*layout, begin);
    const double unit = width_of(begin, end);
    if (x > 0 && x + unit > max_width && unit <= max_width) begin_row();
    for (; begin < end; ++begin) {
      Stop& stop = layout->stops[begin];
      if (x > 0 && x + stop.width > max_width) begin_row();
      stop.x = x;
      stop.row = row;
      x += stop.width + kStopGap;
    }
  }
  return row + 1;
}

// As few rows as possible, and those about equally wide.
void PlaceEvenly(NetworkLayout* layout) {
  constexpr double kStep = 20;
  const std::size_t rows = Place(kMaxRowWidth, layout);
  double width = kMaxRowWidth;
  while (rows > 1 && width > kMaxRowWidth / 2 && Place(width - kStep, layout) == rows) {
    width -= kStep;
  }
  Place(width, layout);
  layout->rows.resize(rows);
  for (const Stop& stop : layout->stops) {
    layout->width = std::max(layout->width, stop.x + stop.width);
  }
}

}  // namespace

std::string ShapeText(const v1::ImageShape& shape, bool flat) {
  if (flat) return absl::StrCat(shape.channels());
  return absl::StrCat(shape.channels(), "×", shape.height(), "×", shape.width());
}

NetworkLayout LayOut(const v1::NetworkDescription& network) {
  NetworkLayout layout = Reader(network).Read();
  layout.stops.front().width = kNarrow;
  for (std::size_t i = 1; i < layout.stops.size(); ++i) {
    Describe(layout, i, &layout.stops[i]);
  }
  PlaceEvenly(&layout);
  for (const Stop& stop : layout.stops) {
    Row& row = layout.rows[stop.row];
    row.lines = std::max(row.lines, stop.lines.size() + (stop.title.empty() ? 0 : 1));
  }
  for (const Bypass& bypass : layout.bypasses) {
    for (std::size_t i = layout.stops[bypass.first].row; i <= layout.stops[bypass.sum].row; ++i) {
      layout.rows[i].lanes = std::max(layout.rows[i].lanes, bypass.lane + 1);
    }
  }
  return layout;
}

}  // namespace atelier::client::report
