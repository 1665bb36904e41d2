// The networks that have a name. A preset is a row of one table: everything that names, lists or
// describes presets reads it. Thread-safe: constants.
#ifndef ATELIER_MODELS_NETWORK_PRESETS_H_
#define ATELIER_MODELS_NETWORK_PRESETS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "models/network/block_network.h"

namespace atelier::models {

struct Preset {
  std::string name;
  // The number of convolutional layers that also names the preset; nothing if none does.
  std::optional<int> conv_depth;
  // Its layers, one phrase without a full stop.
  std::string description;
  BlockNetwork network;
};

// All presets, the study's five first.
const std::vector<Preset>& Presets();

// The preset of that name; null if there is none.
const Preset* FindPreset(absl::string_view name);

// Their names, in the same order.
const std::vector<std::string>& PresetNames();

}  // namespace atelier::models

#endif  // ATELIER_MODELS_NETWORK_PRESETS_H_
