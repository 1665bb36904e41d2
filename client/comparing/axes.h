// What configurations differ in, as axes along which their figures can be put in order.
// Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_COMPARING_AXES_H_
#define ATELIER_CLIENT_COMPARING_AXES_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "client/comparing/comparison.h"

namespace atelier::client {

struct ComparedAxis {
  // `kernel`; of options that change together `batch-size, learning-rate`.
  std::string title;
  // Numbers from small to large, words in the order in which they came.
  std::vector<std::string> values;
  // The same as numbers; empty unless all are.
  std::vector<double> numbers;
  // Of each configuration its value's number; absent where its specification is gone.
  std::vector<std::optional<std::size_t>> places;

  bool numeric() const { return !numbers.empty(); }
  // Whether equal steps are factors rather than differences.
  bool logarithmic() const;
};

// Networks are one axis, whether they are presets or not. Options that change only together are one
// axis too. Empty where there is a single configuration.
std::vector<ComparedAxis> AxesOf(const Comparison& comparison);

// Configurations that differ along one axis alone, in its order.
struct AxisGroup {
  std::string label;  // Their values on the other axes; empty where there is no other.
  std::vector<const Configuration*> configurations;
  std::vector<std::size_t> places;  // Of each on the axis.
};

// For one of the comparison's axes. Configurations without results are left out.
std::vector<AxisGroup> GroupsAlong(const Comparison& comparison,
                                   const std::vector<ComparedAxis>& axes, std::size_t axis);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMPARING_AXES_H_
