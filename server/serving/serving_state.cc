#include "server/serving/serving_state.h"

#include <cstdint>
#include <exception>
#include <nlohmann/json.hpp>

#include "models/files/durable_file.h"

namespace atelier::serving {

using nlohmann::json;

namespace {

constexpr std::int64_t kMaxBytes = std::int64_t{64} << 20;

}  // namespace

ServingState ReadServingState(const std::string& path) {
  ServingState state;
  const auto text = models::ReadWholeFile(path, kMaxBytes);
  if (!text.ok()) return state;
  try {
    const json whole = json::parse(*text);
    for (const json& entry : whole.at("loaded")) {
      state.loaded.emplace(entry.at("model"), entry.at("reference"));
    }
    for (const json& entry : whole.at("unloaded")) {
      state.unloaded.emplace(entry.at("model"), entry.at("version"));
    }
  } catch (const std::exception&) {
    return {};
  }
  return state;
}

std::string ServingStateText(const ServingState& state) {
  json loaded = json::array();
  for (const auto& [model, reference] : state.loaded) {
    loaded.push_back({{"model", model}, {"reference", reference}});
  }
  json unloaded = json::array();
  for (const auto& [model, version] : state.unloaded) {
    unloaded.push_back({{"model", model}, {"version", version}});
  }
  return json{{"loaded", loaded}, {"unloaded", unloaded}}.dump(1) + "\n";
}

absl::Status WriteServingState(const std::string& path, const std::string& text) {
  return models::WriteFileDurably(path, text);
}

}  // namespace atelier::serving
