#include "models/network/device.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>

#include "models/network/torch_library.h"

namespace atelier::models {

absl::string_view DeviceName(Device device) { return device == Device::kCpu ? "cpu" : "cuda"; }

bool CudaAvailable() {
  // Files of the drivers of NVIDIA, of Windows' subsystem for Linux and of AMD: without any of them
  // there is no GPU, and LibTorch, which takes long to load, need not be asked.
  constexpr std::array<const char*, 3> kDrivers = {"/dev/nvidiactl", "/dev/dxg", "/dev/kfd"};
  if (std::none_of(kDrivers.begin(), kDrivers.end(),
                   [](const char* driver) { return access(driver, F_OK) == 0; })) {
    return false;
  }
  try {
    return TorchLibrary::Get().HasGpu();
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace atelier::models
