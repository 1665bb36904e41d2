// Checkpoints of trainings.
#include "models/training/checkpoint.h"

#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)atelier::models::ReadCheckpoint(atelier::fuzz::Scratch().Write("input", data, size));
  return 0;
}
