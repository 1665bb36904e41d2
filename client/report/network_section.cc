// The report's drawings of the networks that were trained.
#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/calls/arguments.h"
#include "client/report/html.h"
#include "client/report/network_picture.h"
#include "client/report/page.h"
#include "client/terminal/figures.h"

namespace atelier::client::report {
namespace {

v1::DescribeNetworkRequest RequestFor(const v1::TrainingSpec& spec) {
  v1::DescribeNetworkRequest request;
  if (spec.has_network()) {
    *request.mutable_spec()->mutable_network() = spec.network();
  } else {
    *request.mutable_spec() = spec;
  }
  request.mutable_spec()->set_standardize(spec.standardize());
  request.set_dataset(DatasetName(spec.dataset()).value_or(""));
  return request;
}

// The first configuration of each network and data set.
std::vector<const Configuration*> DifferentNetworks(const Comparison& comparison) {
  std::vector<const Configuration*> different;
  std::set<std::string> known;
  for (const Configuration& configuration : comparison.configurations) {
    if (configuration.network.empty()) continue;
    const v1::DescribeNetworkRequest request = RequestFor(configuration.spec);
    if (known.insert(request.SerializeAsString()).second) different.push_back(&configuration);
  }
  return different;
}

}  // namespace

absl::StatusOr<std::vector<NetworkLook>> GatherNetworks(Session& session,
                                                        const Comparison& comparison) {
  const std::vector<const Configuration*> different = DifferentNetworks(comparison);
  std::vector<NetworkLook> looks;
  for (const Configuration* configuration : different) {
    NetworkLook& look = looks.emplace_back();
    const auto namesakes = std::count_if(
        different.begin(), different.end(),
        [&](const Configuration* other) { return other->network == configuration->network; });
    look.title = namesakes == 1 ? configuration->network : LabelOf(comparison, *configuration);
    if (looks.size() > kMaxNetworks) continue;
    v1::DescribeNetworkRequest request = RequestFor(configuration->spec);
    if (configuration->spec.has_dropout()) {
      request.mutable_spec()->set_dropout(configuration->spec.dropout());
    }
    auto network = session.Call(&TrainingService::DescribeNetwork, request);
    if (!network.ok() && !CanBeMissing(network.status())) return network.status();
    if (!network.ok()) {
      look.problem = std::string(network.status().message());
    } else if (!network->problems().empty()) {
      look.problem = absl::StrJoin(network->problems(), " ");
    } else {
      look.network = *std::move(network);
    }
  }
  return looks;
}

std::string NetworkSection(const ReportData& data) {
  if (data.networks.empty()) return "";
  std::string html = absl::StrCat(
      "<section>\n<h2>", data.networks.size() == 1 ? "The network" : "The networks", "</h2>\n",
      "<p class=\"note\">Each block is what a layer gives: as high as the image, as thick as the "
      "channels are many. A second block is what pooling leaves of it. Lines above lead around "
      "residual blocks to the sum.",
      std::any_of(data.comparison.differing.begin(), data.comparison.differing.end(),
                  [](SpecField field) { return field->name() == "dropout"; })
          ? " What dropout drops is that of the first configuration of each network."
          : "",
      "</p>\n");
  const std::size_t drawn = std::min(data.networks.size(), kMaxNetworks);
  for (std::size_t i = 0; i < drawn; ++i) {
    const NetworkLook& look = data.networks[i];
    absl::StrAppend(&html,
                    look.problem.empty()
                        ? NetworkFigure(look.title, look.network)
                        : absl::StrCat("<p class=\"none\">", Escape(look.title),
                                       " cannot be drawn: ", Escape(look.problem), "</p>\n"));
  }
  if (drawn < data.networks.size()) {
    absl::StrAppend(&html, "<p class=\"note\">",
                    Count(static_cast<std::int64_t>(data.networks.size() - drawn), "more network"),
                    " not drawn.</p>\n");
  }
  return html + "</section>\n";
}

}  // namespace atelier::client::report
