// SHA-256 by OpenSSL, in lower-case hexadecimal.
#ifndef ATELIER_MODELS_FILES_SHA256_H_
#define ATELIER_MODELS_FILES_SHA256_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace atelier::models {

// A digest over bytes that come in pieces. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();

  void Update(const void* data, size_t size);
  // 64 hexadecimal digits. Call once, last.
  std::string Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string Sha256Of(absl::string_view bytes);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_FILES_SHA256_H_
