#include "proto/access/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace atelier::access {
namespace {

constexpr char kPrefix[] = "atelier_";
constexpr std::size_t kSecretBytes = 32;

bool IsHex(absl::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string RandomHex(std::size_t bytes) {
  std::string random(bytes, '\0');
  // A system without random numbers can make no secrets.
  if (RAND_bytes(reinterpret_cast<unsigned char*>(random.data()), static_cast<int>(bytes)) != 1) {
    std::abort();
  }
  return absl::BytesToHexString(random);
}

}  // namespace

NewToken MakeToken() {
  NewToken token;
  token.id = RandomHex(kTokenIdDigits / 2);
  token.text = absl::StrCat(kPrefix, token.id, "_", RandomHex(kSecretBytes));
  token.sha256 = TokenHash(token.text);
  return token;
}

std::optional<std::string> TokenId(absl::string_view text) {
  if (!absl::ConsumePrefix(&text, kPrefix)) return std::nullopt;
  if (text.size() != kTokenIdDigits + 1 + 2 * kSecretBytes || text[kTokenIdDigits] != '_' ||
      !IsHex(text.substr(0, kTokenIdDigits)) || !IsHex(text.substr(kTokenIdDigits + 1))) {
    return std::nullopt;
  }
  return std::string(text.substr(0, kTokenIdDigits));
}

std::string TokenHash(absl::string_view text) {
  // Looked up once and made once a thread: SHA256() does both anew each time, which takes several
  // times as long as the digest, in every call of a caller that shows a token.
  static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  thread_local const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(
      EVP_MD_CTX_new(), EVP_MD_CTX_free);
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  // A system without SHA-256 or memory can tell nobody from another.
  if (sha256 == nullptr || context == nullptr ||
      EVP_DigestInit_ex(context.get(), sha256, nullptr) != 1 ||
      EVP_DigestUpdate(context.get(), text.data(), text.size()) != 1 ||
      EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) != 1) {
    std::abort();
  }
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

bool SameHash(absl::string_view a, absl::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace atelier::access
