#include <algorithm>

#include "tests/unit/models/encoded_pictures.h"

namespace atelier::models {
namespace {

constexpr char kStartOfScan[] = "\xff\xda";

// The file decodes to the same pixels as the sound one.
void ExpectSame(const std::string& file, const std::string& sound) {
  EXPECT_EQ(PixelsOf(file), PixelsOf(sound));
}

std::string Sound() { return EncodeJpeg(Gradient(24, 24, 3)); }

TEST(JpegDecoderTest, AnUnknownJfifVersionIsNoDamage) {
  std::string file = Sound();
  ASSERT_EQ(file.substr(6, 4), "JFIF");
  file[11] = 0, file[12] = 0;
  ExpectSame(file, Sound());
}

TEST(JpegDecoderTest, BytesBeforeTheEndMarkerAreNoDamage) {
  for (const std::string& bytes : {std::string("\0\0\0\0", 4), std::string("\x12\x34"),
                                   std::string("\xff\xff\xff"), std::string(5000, '\0')}) {
    std::string file = Sound();
    file.insert(file.size() - 2, bytes);
    ExpectSame(file, Sound());
  }
}

TEST(JpegDecoderTest, BytesBehindTheEndMarkerAreNoDamage) {
  ExpectSame(Sound() + std::string(5000, '\0') + "and more", Sound());
}

TEST(JpegDecoderTest, UnusedParametersOfASequentialScanAreNoDamage) {
  std::string file = Sound();
  const size_t scan = file.find(kStartOfScan);
  ASSERT_NE(scan, std::string::npos);
  // Three components of two bytes each, then the last coefficient of the scan.
  file[scan + 5 + 3 * 2 + 1] = 0;
  ExpectSame(file, Sound());
}

TEST(JpegDecoderTest, MissingPixelsAreDamage) {
  const std::string sound = Sound();
  const size_t scan = sound.find(kStartOfScan);
  // A part of the compressed data is gone, and all behind it but the end marker.
  for (const size_t left : {size_t{14}, size_t{100}, size_t{200}}) {
    ASSERT_LT(scan + left, sound.size() - 10);
    ExpectRefused(sound.substr(0, scan + left) + "\xff\xd9", "premature end");
  }
}

TEST(JpegDecoderTest, CodesThatAreNoneAreDamage) {
  std::string file = Sound();
  const size_t data = file.find(kStartOfScan) + 14;
  for (size_t i = data; i + 2 < file.size(); ++i) file[i] = i % 2 == 0 ? '\xff' : '\0';
  ExpectRefused(file, "damaged");
}

TEST(JpegDecoderTest, EndsWhenItIsNoLongerWanted) {
  // 60 scans of four rows of blocks each.
  std::vector<jpeg_scan_info> scans = {{1, {0}, 0, 0, 0, 0}};
  for (int value = 1; value < 60; ++value) scans.push_back({1, {0}, value, value, 0, 0});
  const std::string file = EncodeJpeg(Gradient(32, 32, 1), scans);
  int asked = 0;
  ASSERT_TRUE(DecodeImage(file, {}, [&] { return ++asked, absl::OkStatus(); }).ok());
  EXPECT_GE(asked, 60 * 4);
  asked = 0;
  const auto image = DecodeImage(
      file, {}, [&] { return ++asked < 100 ? absl::OkStatus() : absl::CancelledError("gone"); });
  EXPECT_EQ(image.status(), absl::CancelledError("gone"));
  EXPECT_EQ(asked, 100);
}

TEST(JpegDecoderTest, LargePicturesMayHaveFewerScans) {
  std::vector<jpeg_scan_info> scans = {{1, {0}, 0, 0, 0, 0}};
  for (int value = 1; value < 30; ++value) scans.push_back({1, {0}, value, value, 0, 0});
  const std::string file = EncodeJpeg(Gradient(16, 16, 1), scans);
  ExpectRefused(file, "more than 20 scans", {.max_pixels = 16 * 16});
  EXPECT_TRUE(DecodeImage(file, {.max_pixels = 2 * 16 * 16}).ok());
}

}  // namespace
}  // namespace atelier::models
