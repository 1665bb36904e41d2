#include "models/network/presets.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "models/network/architecture.h"

namespace atelier::models {

const std::vector<Preset>& Presets() {
  static const auto* presets = new std::vector<Preset>{
      {"dense", 0, "dense 128 → 64", {{}, {128, 64}}},
      {"cnn-1", 1, "conv 32, 4×4 pool, dense 128", {{{32, 4}}, {128}}},
      {"cnn-2", 2, "conv 32, pool, conv 64, pool, dense 128", {{{32, 2}, {64, 2}}, {128}}},
      {"cnn-3",
       3,
       "conv 32, pool, conv 64, pool, conv 128, dense 128",
       {{{32, 2}, {64, 2}, {128, 0}}, {128}}},
      {"cnn-3-pooled",
       std::nullopt,
       "cnn-3 with a third pool, dense 128 → 64",
       {{{32, 2}, {64, 2}, {128, 2}}, {128, 64}}},
      {"cnn-3-attention",
       std::nullopt,
       "cnn-3 with squeeze and excitation",
       {{{32, 2, 4}, {64, 2, 4}, {128, 0, 4}}, {128}}},
      {"resnet",
       std::nullopt,
       "eleven convolutions of 32 and 64 filters, skips, channel means",
       {{{32},
         {32, 2},
         {32},
         {32, 0, 0, 2},
         {64, 2},
         {64},
         {64, 0, 0, 2},
         {64},
         {64, 0, 0, 2},
         {64},
         {64, 0, 0, 2}},
        {},
        true}},
  };
  return *presets;
}

const Preset* FindPreset(absl::string_view name) {
  const auto found = std::find_if(Presets().begin(), Presets().end(),
                                  [name](const Preset& preset) { return preset.name == name; });
  return found == Presets().end() ? nullptr : &*found;
}

const std::vector<std::string>& PresetNames() {
  static const auto* names = [] {
    auto* list = new std::vector<std::string>;
    for (const Preset& preset : Presets()) list->push_back(preset.name);
    return list;
  }();
  return *names;
}

absl::StatusOr<Architecture> Architecture::FromPreset(absl::string_view preset, ImageShape input,
                                                      int64_t classes, double dropout) {
  const Preset* const known = FindPreset(preset);
  if (known == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "there is no preset '", preset, "'; presets are ", absl::StrJoin(PresetNames(), ", ")));
  }
  Architecture network;
  network.network = known->network.ToNetwork(known->name);
  network.input = input;
  network.classes = classes;
  network.dropout = dropout;
  if (absl::Status status = network.Validate(); !status.ok()) return status;
  return network;
}

}  // namespace atelier::models
