#include "models/files/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/escaping.h"

namespace atelier::models {
namespace {

// OpenSSL's digests fail only when it is built without them or memory is out; neither leaves
// anything to go on with.
void RequireOpenSsl(int success) {
  if (success == 1) return;
  std::fputs("OpenSSL cannot compute SHA-256\n", stderr);
  std::abort();
}

}  // namespace

struct Sha256::Context {
  EVP_MD_CTX* digest = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(digest); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  RequireOpenSsl(EVP_DigestInit_ex(context_->digest, EVP_sha256(), nullptr));
}

Sha256::~Sha256() = default;

void Sha256::Update(const void* data, size_t size) {
  RequireOpenSsl(EVP_DigestUpdate(context_->digest, data, size));
}

std::string Sha256::Finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
  unsigned int size = 0;
  RequireOpenSsl(EVP_DigestFinal_ex(context_->digest, bytes.data(), &size));
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(bytes.data()), size));
}

std::string Sha256Of(absl::string_view bytes) {
  Sha256 digest;
  digest.Update(bytes.data(), bytes.size());
  return digest.Finish();
}

}  // namespace atelier::models
