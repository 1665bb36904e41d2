// Bytes that nobody changes and that many may hold: a vector's, or a part of a file that is mapped
// into memory. Copies share them. Thread-safe as every immutable value.
#ifndef ATELIER_MODELS_BASE_SHARED_BYTES_H_
#define ATELIER_MODELS_BASE_SHARED_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/types/span.h"

namespace atelier::models {

class SharedBytes {
 public:
  using value_type = uint8_t;
  using const_iterator = const uint8_t*;

  SharedBytes() = default;
  // Implicit: a vector given away becomes shared bytes.
  SharedBytes(std::vector<uint8_t> bytes)  // NOLINT(google-explicit-constructor)
      : SharedBytes(std::make_shared<const std::vector<uint8_t>>(std::move(bytes))) {}
  // Bytes that are there as long as `owner` is.
  SharedBytes(std::shared_ptr<const void> owner, absl::Span<const uint8_t> bytes)
      : bytes_(bytes), owner_(std::move(owner)) {}

  const uint8_t* data() const { return bytes_.data(); }
  size_t size() const { return bytes_.size(); }
  const uint8_t& operator[](size_t i) const { return bytes_[i]; }
  const_iterator begin() const { return bytes_.data(); }
  const_iterator end() const { return bytes_.data() + bytes_.size(); }

  // `size` bytes from `at` on, which must be there; they keep the whole alive.
  SharedBytes Part(size_t at, size_t size) const {
    return SharedBytes(owner_, bytes_.subspan(at, size));
  }

  friend bool operator==(const SharedBytes& a, const SharedBytes& b) {
    return a.bytes_ == b.bytes_;
  }

 private:
  explicit SharedBytes(std::shared_ptr<const std::vector<uint8_t>> bytes)
      : bytes_(*bytes), owner_(std::move(bytes)) {}

  absl::Span<const uint8_t> bytes_;
  std::shared_ptr<const void> owner_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_BASE_SHARED_BYTES_H_
