#include "server/tensorboard/records.h"

#include <gtest/gtest.h>

#include <string>

namespace atelier::tensorboard {
namespace {

TEST(RecordsTest, ChecksumsAreThoseOfTheStandard) {
  // RFC 3720, B.4.
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(Crc32c(""), 0u);
}

TEST(RecordsTest, ARecordIsLengthChecksumPayloadChecksum) {
  std::string file = "before";
  AppendRecord("abc", &file);
  ASSERT_EQ(file.size(), 6u + 8 + 4 + 3 + 4);
  const std::string length("\3\0\0\0\0\0\0\0", 8);
  EXPECT_EQ(file.substr(6, 8), length);
  EXPECT_EQ(file.substr(18, 3), "abc");
  const auto checksum = [&](std::size_t at) {
    std::uint32_t number = 0;
    for (std::size_t i = 4; i-- > 0;) {
      number = number << 8 | static_cast<unsigned char>(file[at + i]);
    }
    return number;
  };
  EXPECT_EQ(checksum(14), MaskedCrc32c(length));
  EXPECT_EQ(checksum(21), MaskedCrc32c("abc"));
  EXPECT_NE(checksum(21), Crc32c("abc"));
}

}  // namespace
}  // namespace atelier::tensorboard
