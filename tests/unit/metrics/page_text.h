// What a page shows, for tests to look up.
#ifndef ATELIER_TESTS_UNIT_METRICS_PAGE_TEXT_H_
#define ATELIER_TESTS_UNIT_METRICS_PAGE_TEXT_H_

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <string>

#include "prometheus/collectable.h"
#include "prometheus/text_serializer.h"

namespace atelier::metrics {

// Values by series, such as `atelier_jobs{state="queued"}`.
using Series = std::map<std::string, double>;

inline Series Show(const prometheus::Collectable& collectable) {
  Series series;
  std::istringstream lines(prometheus::TextSerializer().Serialize(collectable.Collect()));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t space = line.rfind(' ');
    if (line[0] != '#') series[line.substr(0, space)] = std::stod(line.substr(space + 1));
  }
  return series;
}

// The value of one series; nothing if there is none.
inline std::optional<double> ValueOf(const prometheus::Collectable& collectable,
                                     const std::string& name) {
  const Series series = Show(collectable);
  const auto found = series.find(name);
  if (found == series.end()) return std::nullopt;
  return found->second;
}

// Series whose name and labels contain a text.
inline std::size_t CountOf(const prometheus::Collectable& collectable, const std::string& text) {
  const Series series = Show(collectable);
  return static_cast<std::size_t>(std::count_if(series.begin(), series.end(), [&](const auto& one) {
    return one.first.find(text) != std::string::npos;
  }));
}

}  // namespace atelier::metrics

#endif  // ATELIER_TESTS_UNIT_METRICS_PAGE_TEXT_H_
