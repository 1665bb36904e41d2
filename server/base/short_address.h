// A short name for a socket whose path is longer than the system takes (107 bytes), such as one in
// a job folder of a scheduler.
#ifndef ATELIER_SERVER_BASE_SHORT_ADDRESS_H_
#define ATELIER_SERVER_BASE_SHORT_ADDRESS_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace atelier {

// `unix:/proc/self/fd/N/NAME` stands for a path by way of its folder, held open. The socket itself
// is where the path says: who dials opens the folder likewise, so the address is the same after a
// restart and nobody can put another socket in its place. Any other address stays as it is. To be
// kept for as long as the address is listened at or dialled.
class ShortAddress {
 public:
  // `address` as gRPC takes it: HOST:PORT or unix:PATH, absolute. UNAVAILABLE if the folder cannot
  // be opened, INVALID_ARGUMENT if the name within it is too long.
  static absl::StatusOr<ShortAddress> Of(const std::string& address);
  ShortAddress(ShortAddress&& other) noexcept
      : text_(std::move(other.text_)), folder_(std::exchange(other.folder_, -1)) {}
  ShortAddress& operator=(ShortAddress&& other) noexcept {
    std::swap(text_, other.text_);
    std::swap(folder_, other.folder_);
    return *this;
  }
  ~ShortAddress();

  const std::string& text() const { return text_; }

 private:
  ShortAddress(std::string text, int folder) : text_(std::move(text)), folder_(folder) {}

  std::string text_;
  int folder_ = -1;  // A descriptor; -1 for none.
};

}  // namespace atelier

#endif  // ATELIER_SERVER_BASE_SHORT_ADDRESS_H_
