// Numbers that nobody changes and that many may hold: a vector's, or a part of a file that is
// mapped into memory. Copies share them. Thread-safe as every immutable value.
#ifndef ATELIER_MODELS_BASE_SHARED_ARRAY_H_
#define ATELIER_MODELS_BASE_SHARED_ARRAY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "models/base/class_label.h"

namespace atelier::models {

template <typename T>
class SharedArray {
 public:
  using value_type = T;
  using const_iterator = const T*;

  SharedArray() = default;
  // Implicit: a vector given away becomes shared.
  SharedArray(std::vector<T> values)  // NOLINT(google-explicit-constructor)
      : SharedArray(std::make_shared<const std::vector<T>>(std::move(values))) {}
  // Values that are there as long as `owner` is.
  SharedArray(std::shared_ptr<const void> owner, absl::Span<const T> values)
      : values_(values), owner_(std::move(owner)) {}

  const T* data() const { return values_.data(); }
  size_t size() const { return values_.size(); }
  const T& operator[](size_t i) const { return values_[i]; }
  const_iterator begin() const { return values_.data(); }
  const_iterator end() const { return values_.data() + values_.size(); }

  // `size` values from `at` on, which must be there; they keep the whole alive.
  SharedArray Part(size_t at, size_t size) const {
    return SharedArray(owner_, values_.subspan(at, size));
  }

  friend bool operator==(const SharedArray& a, const SharedArray& b) {
    return a.values_ == b.values_;
  }

 private:
  explicit SharedArray(std::shared_ptr<const std::vector<T>> values)
      : values_(*values), owner_(std::move(values)) {}

  absl::Span<const T> values_;
  std::shared_ptr<const void> owner_;
};

using SharedBytes = SharedArray<uint8_t>;
using SharedLabels = SharedArray<ClassLabel>;

}  // namespace atelier::models

#endif  // ATELIER_MODELS_BASE_SHARED_ARRAY_H_
