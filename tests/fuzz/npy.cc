// Headers of NumPy's files, and their numbers.
#include "models/import/npy.h"

#include <algorithm>
#include <cstring>

#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  size_t at = 0;
  const auto read = [&](void* to, size_t wanted) -> absl::StatusOr<size_t> {
    const size_t got = std::min(wanted, size - at);
    std::memcpy(to, data + at, got);
    at += got;
    return got;
  };
  const auto header = atelier::models::ReadNpyHeader(read);
  if (!header.ok()) return 0;
  const size_t numbers = (size - at) / header->item_bytes;
  atelier::models::NumberRange range;
  atelier::models::AddToRange(*header, atelier::fuzz::Text(data + at, numbers * header->item_bytes),
                              &range);
  (void)header->shape_text();
  return 0;
}
