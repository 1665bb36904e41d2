// Numbers on a cache line's border, zero at first: the memory that kernels work on. Movable, and
// const as a pointer is: who may call data() may write.
#ifndef ATELIER_MODELS_BASE_FLOAT_BUFFER_H_
#define ATELIER_MODELS_BASE_FLOAT_BUFFER_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace atelier::models {

template <typename Number>
class NumberBuffer {
 public:
  NumberBuffer() = default;
  // Throws std::bad_alloc.
  explicit NumberBuffer(int64_t size) : size_(size) {
    const size_t bytes = (static_cast<size_t>(size) * sizeof(Number) + kLine - 1) / kLine * kLine;
    data_.reset(static_cast<Number*>(std::aligned_alloc(kLine, std::max(bytes, kLine))));
    if (data_ == nullptr) throw std::bad_alloc();
    std::fill_n(data_.get(), size, Number{});
  }

  Number* data() const { return data_.get(); }
  int64_t size() const { return size_; }

 private:
  static constexpr size_t kLine = 64;
  struct Free {
    void operator()(Number* data) const { std::free(data); }
  };

  std::unique_ptr<Number[], Free> data_;
  int64_t size_ = 0;
};

using FloatBuffer = NumberBuffer<float>;

}  // namespace atelier::models

#endif  // ATELIER_MODELS_BASE_FLOAT_BUFFER_H_
