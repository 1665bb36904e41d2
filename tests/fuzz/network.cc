// Networks as JSON: what people write and what model archives and jobs hold.
#include "models/network/architecture.h"
#include "models/network/layer_plan.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto architecture =
      atelier::models::Architecture::FromJson(atelier::fuzz::Text(data, size));
  if (architecture.ok()) (void)atelier::models::PlanOf(*architecture);
  return 0;
}
