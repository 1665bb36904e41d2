// IDX files, plain and gzipped.
#include <vector>

#include "models/data/idx_reader.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int64_t kMaxBytes = 1 << 20;
  const std::string path = atelier::fuzz::Scratch().Write("input", data, size);
  auto reader = atelier::models::IdxReader::Open(path, kMaxBytes);
  if (!reader.ok()) return 0;
  std::vector<uint8_t> bytes(static_cast<size_t>((*reader)->bytes()));
  if (!(*reader)->Read(bytes.data(), (*reader)->bytes()).ok()) return 0;
  (*reader)->Finish().IgnoreError();
  return 0;
}
