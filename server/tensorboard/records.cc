#include "server/tensorboard/records.h"

#include <array>

namespace atelier::tensorboard {
namespace {

constexpr std::uint32_t kReflectedPolynomial = 0x82F63B78;
constexpr std::uint32_t kMask = 0xA282EAD8;

constexpr std::array<std::uint32_t, 256> MakeTable() {
  std::array<std::uint32_t, 256> table = {};
  for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
    std::uint32_t remainder = byte;
    for (int bit = 0; bit < 8; ++bit) {
      remainder = remainder >> 1 ^ (remainder & 1 ? kReflectedPolynomial : 0);
    }
    table[byte] = remainder;
  }
  return table;
}

constexpr std::array<std::uint32_t, 256> kTable = MakeTable();

template <typename Number>
std::string LittleEndian(Number number) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof(Number); ++i) {
    bytes.push_back(static_cast<char>(number >> (8 * i) & 0xFF));
  }
  return bytes;
}

}  // namespace

std::uint32_t Crc32c(absl::string_view bytes) {
  std::uint32_t remainder = ~std::uint32_t{0};
  for (const char byte : bytes) {
    remainder = remainder >> 8 ^ kTable[(remainder ^ static_cast<unsigned char>(byte)) & 0xFF];
  }
  return ~remainder;
}

std::uint32_t MaskedCrc32c(absl::string_view bytes) {
  const std::uint32_t crc = Crc32c(bytes);
  return (crc >> 15 | crc << 17) + kMask;
}

void AppendRecord(absl::string_view payload, std::string* file) {
  const std::string length = LittleEndian(std::uint64_t{payload.size()});
  file->append(length);
  file->append(LittleEndian(MaskedCrc32c(length)));
  file->append(payload.data(), payload.size());
  file->append(LittleEndian(MaskedCrc32c(payload)));
}

}  // namespace atelier::tensorboard
