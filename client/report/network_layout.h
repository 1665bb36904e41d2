// Where the layers of a network stand in its drawing: from left to right in rows, as words stand in
// lines. Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_REPORT_NETWORK_LAYOUT_H_
#define ATELIER_CLIENT_REPORT_NETWORK_LAYOUT_H_

#include <cstddef>
#include <string>
#include <vector>

#include "atelier/v1/training_service.pb.h"

namespace atelier::client::report {

// What is drawn as one: the image, a layer that multiplies with those behind it that do not (norm,
// activation, pooling), or the sum at the end of a residual block.
struct Stop {
  enum class Kind { kImage, kLayers, kSum };

  Kind kind = Kind::kLayers;
  std::vector<v1::LayerDescription> layers;
  std::string title;
  std::vector<std::string> lines;
  // In pixels from the left.
  double x = 0;
  double width = 0;
  std::size_t row = 0;

  double middle() const { return x + width / 2; }
};

// The way around a residual block.
struct Bypass {
  // The block's first stop, and its sum.
  std::size_t first = 0;
  std::size_t sum = 0;
  // Above the bypasses inside of it, from 0.
  int lane = 0;
};

struct Row {
  int lanes = 0;
  std::size_t lines = 0;
};

struct NetworkLayout {
  std::vector<Stop> stops;
  std::vector<Bypass> bypasses;
  std::vector<Row> rows;
  double width = 0;
};

// Between two stops, and of the widest row.
inline constexpr double kStopGap = 20;
inline constexpr double kMaxRowWidth = 1120;

NetworkLayout LayOut(const v1::NetworkDescription& network);

// `32×14×14`; a list of numbers as `128`.
std::string ShapeText(const v1::ImageShape& shape, bool flat);

}  // namespace atelier::client::report

#endif  // ATELIER_CLIENT_REPORT_NETWORK_LAYOUT_H_
