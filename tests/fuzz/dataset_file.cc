// Packed data sets, as the server keeps them and maps them into memory.
#include "models/data/dataset_file.h"

#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace atelier::models;
  const auto file = DatasetFile::Open(atelier::fuzz::Scratch().Write("input", data, size));
  if (!file.ok()) return 0;
  (void)file->ReadLabels(SplitName::kTraining);
  (void)file->Map();
  return 0;
}
