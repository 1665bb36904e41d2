#include "proto/lifecycle/network_title.h"

namespace atelier {

std::string NetworkTitle(const v1::TrainingSpec& spec) {
  if (!spec.preset().empty()) return spec.preset();
  if (!spec.network().name().empty()) return spec.network().name();
  return spec.has_network() || !spec.conv().empty() ? "network" : "";
}

}  // namespace atelier
