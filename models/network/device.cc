#include "models/network/device.h"

namespace atelier::models {

absl::string_view DeviceName(Device device) { return device == Device::kCpu ? "cpu" : "cuda"; }

}  // namespace atelier::models
