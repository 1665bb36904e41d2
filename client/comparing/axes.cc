#include "client/comparing/axes.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/calls/spec_fields.h"

namespace atelier::client {
namespace {

// Spread beyond which numbers are told apart by their factors.
constexpr double kLogarithmicSpread = 8;

bool IsNetwork(SpecField field) { return field->name() == "preset" || field->name() == "network"; }

// An axis of one text for each configuration.
ComparedAxis AxisOf(std::string title, const std::vector<std::optional<std::string>>& texts) {
  ComparedAxis axis;
  axis.title = std::move(title);
  for (const auto& text : texts) {
    if (!text.has_value()) continue;
    if (std::find(axis.values.begin(), axis.values.end(), *text) == axis.values.end()) {
      axis.values.push_back(*text);
    }
  }
  std::vector<std::pair<double, std::string>> numbers;
  for (const std::string& value : axis.values) {
    double number = 0;
    if (!absl::SimpleAtod(value, &number)) break;
    numbers.emplace_back(number, value);
  }
  if (numbers.size() == axis.values.size()) {
    std::sort(numbers.begin(), numbers.end());
    axis.values.clear();
    for (const auto& [number, value] : numbers) {
      axis.numbers.push_back(number);
      axis.values.push_back(value);
    }
  }
  for (const auto& text : texts) {
    auto& place = axis.places.emplace_back();
    if (!text.has_value()) continue;
    place = static_cast<std::size_t>(std::find(axis.values.begin(), axis.values.end(), *text) -
                                     axis.values.begin());
  }
  return axis;
}

// Whether each value of one goes with one value of the other, and the other way round.
bool ChangeTogether(const ComparedAxis& one, const ComparedAxis& other) {
  std::map<std::size_t, std::size_t> there;
  std::map<std::size_t, std::size_t> back;
  for (std::size_t i = 0; i < one.places.size(); ++i) {
    if (!one.places[i].has_value()) continue;
    const std::size_t a = *one.places[i];
    const std::size_t b = *other.places[i];
    if (there.emplace(a, b).first->second != b || back.emplace(b, a).first->second != a) {
      return false;
    }
  }
  return true;
}

// An absent value is written as a dash, so that it is seen.
std::string Shown(const std::string& value) { return value.empty() ? "–" : value; }

template <typename TextOf>
ComparedAxis AxisOver(const Comparison& comparison, std::string title, TextOf text_of) {
  std::vector<std::optional<std::string>> texts;
  for (const Configuration& configuration : comparison.configurations) {
    auto& text = texts.emplace_back();
    if (!configuration.network.empty()) text = Shown(text_of(configuration));
  }
  return AxisOf(std::move(title), texts);
}

}  // namespace

bool ComparedAxis::logarithmic() const {
  return numeric() && numbers.front() > 0 && numbers.back() > kLogarithmicSpread * numbers.front();
}

std::vector<ComparedAxis> AxesOf(const Comparison& comparison) {
  std::vector<ComparedAxis> axes;
  const auto add = [&axes](ComparedAxis axis) {
    if (axis.values.size() < 2) return;
    for (ComparedAxis& known : axes) {
      if (!ChangeTogether(known, axis)) continue;
      absl::StrAppend(&known.title, ", ", axis.title);
      return;
    }
    axes.push_back(std::move(axis));
  };
  add(AxisOver(comparison, "network",
               [](const Configuration& configuration) { return configuration.network; }));
  for (const SpecField field : comparison.differing) {
    if (IsNetwork(field)) continue;
    add(AxisOver(comparison, TitleOf(field), [field](const Configuration& configuration) {
      return ValueText(configuration.spec, field);
    }));
  }
  return axes;
}

std::vector<AxisGroup> GroupsAlong(const Comparison& comparison,
                                   const std::vector<ComparedAxis>& axes, std::size_t axis) {
  // By their places on the other axes, so that groups stand in the axes' order.
  std::map<std::vector<std::size_t>, std::map<std::size_t, const Configuration*>> groups;
  for (std::size_t i = 0; i < comparison.configurations.size(); ++i) {
    const Configuration& configuration = comparison.configurations[i];
    if (configuration.Results().empty() || !axes[axis].places[i].has_value()) continue;
    std::vector<std::size_t> others;
    for (std::size_t j = 0; j < axes.size(); ++j) {
      if (j != axis) others.push_back(*axes[j].places[i]);
    }
    groups[others].emplace(*axes[axis].places[i], &configuration);
  }
  std::vector<AxisGroup> listed;
  for (const auto& [others, members] : groups) {
    AxisGroup& group = listed.emplace_back();
    std::size_t next = 0;
    for (std::size_t j = 0; j < axes.size(); ++j) {
      if (j == axis) continue;
      absl::StrAppend(&group.label, group.label.empty() ? "" : ", ", axes[j].title, " ",
                      axes[j].values[others[next++]]);
    }
    for (const auto& [place, configuration] : members) {
      group.places.push_back(place);
      group.configurations.push_back(configuration);
    }
  }
  return listed;
}

}  // namespace atelier::client
