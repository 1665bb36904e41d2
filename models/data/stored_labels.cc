#include "models/data/stored_labels.h"

namespace atelier::models {
namespace {

constexpr size_t kMaxByteClasses = 256;

}  // namespace

int64_t StoredLabelBytes(size_t classes) { return classes <= kMaxByteClasses ? 1 : 2; }

std::vector<uint8_t> StoreLabels(absl::Span<const ClassLabel> labels, size_t classes) {
  const bool wide = StoredLabelBytes(classes) == 2;
  std::vector<uint8_t> bytes;
  bytes.reserve(labels.size() * static_cast<size_t>(StoredLabelBytes(classes)));
  for (const ClassLabel label : labels) {
    bytes.push_back(static_cast<uint8_t>(label & 0xff));
    if (wide) bytes.push_back(static_cast<uint8_t>(label >> 8));
  }
  return bytes;
}

std::vector<ClassLabel> LoadLabels(absl::Span<const uint8_t> bytes, size_t classes) {
  if (StoredLabelBytes(classes) == 1) return {bytes.begin(), bytes.end()};
  std::vector<ClassLabel> labels(bytes.size() / 2);
  for (size_t i = 0; i < labels.size(); ++i) {
    labels[i] = static_cast<ClassLabel>(bytes[2 * i] | bytes[2 * i + 1] << 8);
  }
  return labels;
}

}  // namespace atelier::models
