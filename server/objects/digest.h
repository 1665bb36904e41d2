// The digests that object stores ask for and answer with, by OpenSSL. Thread-safe: free functions
// and values.
#ifndef ATELIER_SERVER_OBJECTS_DIGEST_H_
#define ATELIER_SERVER_OBJECTS_DIGEST_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/files/regular_file.h"

namespace atelier::objects {

constexpr std::size_t kSha256Bytes = 32;
constexpr std::size_t kMd5Bytes = 16;

// As they are, not in hexadecimal.
std::string Sha256(absl::string_view bytes);
std::string Md5(absl::string_view bytes);
std::string HmacSha256(absl::string_view key, absl::string_view bytes);

// Of one piece of a file.
struct Digests {
  std::string sha256;
  std::string md5;
};

// INTERNAL if the file ends before that or cannot be read.
absl::StatusOr<Digests> DigestsOf(const models::RegularFile& file, std::int64_t offset,
                                  std::int64_t bytes);

}  // namespace atelier::objects

#endif  // ATELIER_SERVER_OBJECTS_DIGEST_H_
