#include "client/comparing/sweep_grid.h"

#include <algorithm>
#include <limits>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/calls/spec_fields.h"
#include "client/terminal/display_text.h"
#include "client/terminal/figures.h"

namespace atelier::client {
namespace {

constexpr std::int64_t kMaxRuns = 1000;  // The server's limit.
// Of the grid that --random draws from.
constexpr std::int64_t kMaxGrid = std::int64_t{1} << 60;

// An option that stands in the command line.
struct Axis {
  SpecField field;
  std::vector<std::string> values;
};

absl::Status Invalid(std::string message) { return absl::InvalidArgumentError(std::move(message)); }

absl::StatusOr<std::vector<std::string>> SplitList(const std::string& flag, const std::string& list,
                                                   char separator = ',') {
  std::vector<std::string> values = absl::StrSplit(list, separator);
  std::set<std::string> known;
  for (const std::string& value : values) {
    if (value.empty()) {
      return Invalid(absl::StrCat(flag, ": '", EscapeControls(list),
                                  "' contains an empty value; write a", std::string(1, separator),
                                  "b", std::string(1, separator), "c."));
    }
    if (!known.insert(value).second) {
      return Invalid(absl::StrCat(flag, ": '", EscapeControls(value),
                                  "' is given twice; give each value once."));
    }
  }
  return values;
}

absl::StatusOr<std::vector<Axis>> MakeAxes(const SweepOptions& options) {
  std::vector<Axis> axes;
  for (const SpecField field : SpecFields()) {
    const auto list = options.values.find(OptionOf(field));
    if (list == options.values.end()) continue;
    // A value that is a list has the commas.
    auto values = SplitList(list->first, list->second, field->is_repeated() ? '/' : ',');
    if (!values.ok()) return values.status();
    v1::TrainingSpec scratch;
    for (const std::string& value : *values) {
      if (const auto status = SetValue(value, field, &scratch); !status.ok()) return status;
    }
    axes.push_back({field, *std::move(values)});
  }
  return axes;
}

absl::StatusOr<std::int64_t> GridSize(const std::vector<Axis>& axes) {
  std::int64_t size = 1;
  for (const Axis& axis : axes) {
    const auto count = static_cast<std::int64_t>(axis.values.size());
    if (size > kMaxGrid / count) {
      return Invalid(
          "The lists make too many configurations to count; shorten "
          "them.");
    }
    size *= count;
  }
  return size;
}

absl::StatusOr<std::vector<std::int64_t>> MakeSeeds(const SweepOptions& options) {
  std::vector<std::int64_t> seeds;
  if (!options.seed.empty()) {
    auto list = SplitList("--seed", options.seed);
    if (!list.ok()) return list.status();
    for (const std::string& text : *list) {
      std::int64_t seed = 0;
      if (!absl::SimpleAtoi(text, &seed)) {
        return Invalid(absl::StrCat("--seed: '", EscapeControls(text), "' is not a whole number."));
      }
      seeds.push_back(seed);
    }
  }
  if (!options.seeds.has_value()) return seeds;
  if (seeds.size() > 1) {
    return Invalid(
        "--seeds gives a number of seeds and --seed lists them; give one of the two, or a single "
        "--seed to count from.");
  }
  const std::int64_t first = seeds.empty() ? 1 : seeds[0];
  if (*options.seeds > kMaxRuns) {
    return Invalid(absl::StrCat("--seeds: ", *options.seeds,
                                " is too many; an experiment has at "
                                "most ",
                                kMaxRuns, " runs."));
  }
  if (first > std::numeric_limits<std::int64_t>::max() - kMaxRuns) {
    return Invalid(absl::StrCat("--seed: ", first, " is too large as the first seed."));
  }
  seeds.clear();
  for (int i = 0; i < *options.seeds; ++i) seeds.push_back(first + i);
  return seeds;
}

// `count` places in a grid of `size`, none twice, in the order of the grid. The same everywhere:
// the standard fixes the generator, and the remainder's bias is of no account in grids below 2^60.
std::vector<std::int64_t> Draw(std::int64_t size, std::int64_t count, std::int64_t seed) {
  std::mt19937_64 generator(static_cast<std::uint64_t>(seed));
  std::set<std::int64_t> drawn;
  // Floyd's way: every sample is as likely, and there are no more draws than values.
  for (std::int64_t last = size - count; last < size; ++last) {
    const auto place =
        static_cast<std::int64_t>(generator() % static_cast<std::uint64_t>(last + 1));
    drawn.insert(drawn.contains(place) ? last : place);
  }
  return {drawn.begin(), drawn.end()};
}

absl::Status AddConfiguration(const std::vector<Axis>& axes, std::int64_t place,
                              v1::StartExperimentRequest* request) {
  v1::TrainingSpec* const spec = request->add_configurations();
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
    const auto count = static_cast<std::int64_t>(axis->values.size());
    const std::string& value = axis->values[static_cast<std::size_t>(place % count)];
    place /= count;
    if (const auto status = SetValue(value, axis->field, spec); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status CheckSize(std::int64_t configurations, std::size_t seeds) {
  const auto each = static_cast<std::int64_t>(std::max<std::size_t>(1, seeds));
  if (configurations <= kMaxRuns / each) return absl::OkStatus();
  return Invalid(
      absl::StrCat("The lists make ", Count(configurations, "configuration"),
                   each == 1 ? "" : absl::StrCat(" with ", Count(each, "seed"), " each"),
                   "; an experiment has at most ", Count(kMaxRuns),
                   " runs. Shorten the lists, or draw some configurations with --random N."));
}

}  // namespace

absl::StatusOr<v1::StartExperimentRequest> MakeSweep(const SweepOptions& options) {
  auto axes = MakeAxes(options);
  if (!axes.ok()) return axes.status();
  auto seeds = MakeSeeds(options);
  if (!seeds.ok()) return seeds.status();
  auto size = GridSize(*axes);
  if (!size.ok()) return size.status();
  const std::int64_t count =
      options.random.has_value() ? std::min<std::int64_t>(*size, *options.random) : *size;
  if (const auto status = CheckSize(count, seeds->size()); !status.ok()) return status;
  v1::StartExperimentRequest request;
  request.set_base_name(options.name);
  request.mutable_seeds()->Assign(seeds->begin(), seeds->end());
  for (const std::int64_t place : Draw(*size, count, seeds->empty() ? 1 : seeds->front())) {
    if (const auto status = AddConfiguration(*axes, place, &request); !status.ok()) return status;
  }
  return request;
}

}  // namespace atelier::client
