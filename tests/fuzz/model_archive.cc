// Model archives and their members.
#include "models/archive/model_archive.h"

#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto archive =
      atelier::models::ReadModelArchive(atelier::fuzz::Scratch().Write("input", data, size));
  if (archive.ok()) (void)atelier::models::TrainedModelOf(*archive);
  return 0;
}
