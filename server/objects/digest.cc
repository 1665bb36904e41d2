#include "server/objects/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <vector>

namespace atelier::objects {
namespace {

constexpr std::int64_t kPiece = 1 << 20;

using Buffer = std::array<unsigned char, EVP_MAX_MD_SIZE>;

std::string Text(const Buffer& digest, unsigned size) {
  return {reinterpret_cast<const char*>(digest.data()), size};
}

std::string DigestOf(const EVP_MD* kind, absl::string_view bytes) {
  Buffer digest;
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, kind, nullptr);
  return Text(digest, size);
}

// Over bytes that come in pieces.
class Running {
 public:
  explicit Running(const EVP_MD* kind) : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    EVP_DigestInit_ex(context_.get(), kind, nullptr);
  }
  void Add(const char* data, std::size_t size) { EVP_DigestUpdate(context_.get(), data, size); }
  std::string Finish() {
    Buffer digest;
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
    return Text(digest, size);
  }

 private:
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

std::string Sha256(absl::string_view bytes) { return DigestOf(EVP_sha256(), bytes); }

std::string Md5(absl::string_view bytes) { return DigestOf(EVP_md5(), bytes); }

std::string HmacSha256(absl::string_view key, absl::string_view bytes) {
  Buffer digest;
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data(), &size);
  return Text(digest, size);
}

absl::StatusOr<Digests> DigestsOf(const models::RegularFile& file, std::int64_t offset,
                                  std::int64_t bytes) {
  Running sha256(EVP_sha256());
  Running md5(EVP_md5());
  std::vector<char> piece(static_cast<std::size_t>(std::min(bytes, kPiece)));
  for (std::int64_t done = 0; done < bytes;) {
    const auto size = static_cast<std::size_t>(std::min(bytes - done, kPiece));
    if (auto read = file.ReadExactly(offset + done, piece.data(), size); !read.ok()) {
      return absl::InternalError(read.message());
    }
    sha256.Add(piece.data(), size);
    md5.Add(piece.data(), size);
    done += static_cast<std::int64_t>(size);
  }
  return Digests{sha256.Finish(), md5.Finish()};
}

}  // namespace atelier::objects
