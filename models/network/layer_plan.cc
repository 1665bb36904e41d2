#include "models/network/layer_plan.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "models/base/class_label.h"
#include "models/network/architecture.h"
#include "models/network/layer_planner.h"

namespace atelier::models {
namespace {

constexpr int64_t kMaxChannels = 1024;
constexpr int64_t kMaxImageEdge = 4096;
constexpr size_t kMaxNameLength = 63;

void CheckRange(absl::string_view what, int64_t value, int64_t low, int64_t high,
                std::vector<std::string>& problems) {
  if (value >= low && value <= high) return;
  problems.push_back(absl::StrCat(what, " is ", value, "; it must be ", low, " to ", high));
}

bool IsName(absl::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  return name.size() <= kMaxNameLength && std::all_of(name.begin(), name.end(), allowed);
}

void CheckSizes(const Architecture& architecture, std::vector<std::string>& problems) {
  CheckRange("the number of input channels", architecture.input.channels, 1, kMaxChannels,
             problems);
  CheckRange("the input height", architecture.input.height, 1, kMaxImageEdge, problems);
  CheckRange("the input width", architecture.input.width, 1, kMaxImageEdge, problems);
  CheckRange("the number of classes", architecture.classes, 2, kMaxClasses, problems);
}

// What leaves every shape known.
void CheckTheRest(const Architecture& architecture, std::vector<std::string>& problems) {
  if (!(architecture.dropout >= 0 && architecture.dropout < 1)) {
    problems.push_back(
        absl::StrCat("dropout is ", architecture.dropout, "; it must be at least 0 and below 1"));
  }
  if (!IsName(architecture.network.name())) {
    problems.push_back("the name of the network must be at most 63 characters of a-z, 0-9 and '-'");
  }
  if (!architecture.network.has_standardization()) return;
  std::string problem = StandardizationProblem(architecture.network, architecture.input.channels);
  if (!problem.empty()) problems.push_back(std::move(problem));
}

}  // namespace

int64_t TensorSpec::size() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

std::string Title(const LayerPlan& layer) {
  return absl::StrCat(layer.place, " (", layer.name, ")");
}

std::string Phrase(const LayerPlan& layer) { return LayerKindOf(layer.kind()).phrase(layer); }

int64_t ConvolutionCount(const NetworkPlan& plan) {
  int64_t count = 0;
  ForEachLayer(plan.layers, [&count](const LayerPlan& layer) {
    count += layer.kind() == v1::Layer::kConvolution ? 1 : 0;
  });
  return count;
}

NetworkPlan PlanOf(const Architecture& architecture) {
  NetworkPlan plan;
  plan.input = architecture.input;
  CheckSizes(architecture, plan.problems);
  const bool sizes_known = plan.problems.empty();
  CheckTheRest(architecture, plan.problems);
  if (!sizes_known) return plan;
  plan.scales = ChannelScalesOf(architecture.network);
  LayerPlanner planner(architecture);
  plan.layers = planner.Plan();
  plan.problems.insert(plan.problems.end(), planner.problems().begin(), planner.problems().end());
  return plan;
}

}  // namespace atelier::models
