#include "models/pictures/image_codec.h"

#include <sys/resource.h>

#include "models/pictures/exif.h"
#include "tests/unit/models/encoded_pictures.h"

namespace atelier::models {
namespace {

using ::testing::ElementsAre;

// A PNG file whose header claims another size, with a checksum that agrees.
std::string WithHeaderSize(std::string png, uint32_t width, uint32_t height) {
  const auto store = [&](size_t at, uint32_t value) {
    for (int i = 0; i < 4; ++i) png[at + i] = static_cast<char>(value >> (24 - 8 * i));
  };
  store(16, width);
  store(20, height);
  store(29, static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(&png[12]), 17)));
  return png;
}

TEST(ImageCodecTest, PngKeepsEveryPixel) {
  for (const int64_t channels : {1, 3}) {
    const Image image = Gradient(5, 7, channels);
    const auto file = EncodePng(image);
    ASSERT_TRUE(file.ok()) << file.status();
    const auto again = DecodeImage(*file);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->height, 5);
    EXPECT_EQ(again->width, 7);
    EXPECT_EQ(again->channels, channels);
    EXPECT_EQ(again->pixels, image.pixels);
  }
}

TEST(ImageCodecTest, DecodesJpeg) {
  for (const int64_t channels : {1, 3}) {
    const Image image = Gradient(16, 16, channels);
    const auto again = DecodeImage(EncodeJpeg(image));
    ASSERT_TRUE(again.ok()) << again.status();
    ASSERT_EQ(again->pixels.size(), image.pixels.size());
    EXPECT_EQ(again->channels, channels);
    for (size_t i = 0; i < image.pixels.size(); ++i) {
      EXPECT_NEAR(again->pixels[i], image.pixels[i], 8);
    }
  }
}

TEST(ImageCodecTest, RefusesWhatIsNoPicture) {
  ExpectRefused("", "empty");
  ExpectRefused("GIF89a and more", "the picture is a GIF file; PNG, JPEG and WebP files are read");
  ExpectRefused("\x89PNG\r\n\x1a\n", "damaged");
  ExpectRefused("\xff\xd8\xff", "damaged");
}

TEST(ImageCodecTest, RefusesEveryTruncation) {
  const std::string png = *EncodePng(Gradient(28, 28, 1));
  const std::string jpeg = EncodeJpeg(Gradient(28, 28, 1));
  for (const std::string& file : {png, jpeg}) {
    for (size_t size = 0; size + 1 < file.size(); size += 7) {
      EXPECT_FALSE(DecodeImage(file.substr(0, size)).ok()) << size << " of " << file.size();
    }
  }
}

TEST(ImageCodecTest, SurvivesEveryFlippedByte) {
  ExpectSurvivesFlippedBytes(*EncodePng(Gradient(9, 9, 3)));
  ExpectSurvivesFlippedBytes(EncodeJpeg(Gradient(9, 9, 3)));
}

TEST(ImageCodecTest, ChecksSizesBeforeDecoding) {
  std::string png = *EncodePng(Gradient(4, 4, 1));
  ExpectRefused(png, "at most 10 are accepted", {.max_bytes = 10});
  ExpectRefused(png, "4x4 pixels; at most 15", {.max_pixels = 15});
  ExpectRefused(EncodeJpeg(Gradient(4, 4, 1)), "4x4 pixels; at most 15", {.max_pixels = 15});
  ExpectRefused(WithHeaderSize(png, 20000, 20000), "20000x20000 pixels");
  ExpectRefused(WithHeaderSize(png, 0, 4), "damaged");
  // The size fits, the pixels are not there.
  ExpectRefused(WithHeaderSize(png, 4000, 4000), "damaged");
}

TEST(ImageCodecTest, ConvertsByRec601) {
  const Image colours{1, 4, 3, {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255}};
  const auto grey = ConvertChannels(colours, 1);
  ASSERT_TRUE(grey.ok());
  EXPECT_THAT(grey->pixels, ElementsAre(76, 150, 29, 255));
  const auto back = ConvertChannels(*grey, 3);
  ASSERT_TRUE(back.ok());
  EXPECT_THAT(back->pixels, ElementsAre(76, 76, 76, 150, 150, 150, 29, 29, 29, 255, 255, 255));
  EXPECT_FALSE(ConvertChannels(colours, 2).ok());
}

TEST(ImageCodecTest, PlanarIsThereAndBack) {
  const Image image = Gradient(3, 2, 3);
  const std::vector<uint8_t> planar = ToPlanar(image);
  EXPECT_EQ(planar[6], image.pixels[1]);
  EXPECT_EQ(FromPlanar({3, 3, 2}, planar).pixels, image.pixels);
}

TEST(ImageCodecTest, SixteenBitsBecomeTheUpperEight) {
  EXPECT_THAT(PixelsOf(RawPng(3, 1, 16, 0, {0, 0, 0, '\x80', 0, '\xff', '\xff'})),
              ElementsAre(0, 128, 255));
}

TEST(ImageCodecTest, FewBitsAreSpreadOverTheWholeRange) {
  EXPECT_THAT(PixelsOf(RawPng(4, 1, 1, 0, {0, '\xa0'})), ElementsAre(255, 0, 255, 0));
  EXPECT_THAT(PixelsOf(RawPng(4, 1, 2, 0, {0, 0x1b})), ElementsAre(0, 85, 170, 255));
}

TEST(ImageCodecTest, PalettesAreLookedUp) {
  const std::string palette = PngChunk("PLTE", {10, 20, 30, '\xc8', 100, 50});
  EXPECT_THAT(PixelsOf(RawPng(2, 1, 8, 3, {0, 1, 0}, palette)),
              ElementsAre(200, 100, 50, 10, 20, 30));
}

TEST(ImageCodecTest, TransparencyIsLaidOverWhite) {
  // Grey with alpha, colour with alpha, and a palette with a transparent entry.
  const auto grey = PixelsOf(RawPng(3, 1, 8, 4, {0, 0, 0, 0, '\xff', 0, '\x80'}));
  ASSERT_EQ(grey.size(), 3U);
  EXPECT_EQ(grey[0], 255);
  EXPECT_EQ(grey[1], 0);
  EXPECT_GT(grey[2], 100);
  EXPECT_LT(grey[2], 200);
  EXPECT_THAT(PixelsOf(RawPng(2, 1, 8, 6, {0, 9, 9, 9, 0, 1, 2, 3, '\xff'})),
              ElementsAre(255, 255, 255, 1, 2, 3));
  const std::string palette =
      PngChunk("PLTE", {10, 20, 30, 40, 50, 60}) + PngChunk("tRNS", std::string(1, '\0'));
  EXPECT_THAT(PixelsOf(RawPng(2, 1, 8, 3, {0, 0, 1}, palette)),
              ElementsAre(255, 255, 255, 40, 50, 60));
}

TEST(ImageCodecTest, PicturesAreTurnedUpright) {
  // 1 2
  // 3 4
  // 5 6
  const std::string rows = {0, 1, 2, 0, 3, 4, 0, 5, 6};
  const std::vector<std::vector<uint8_t>> upright = {
      {1, 2, 3, 4, 5, 6}, {2, 1, 4, 3, 6, 5}, {6, 5, 4, 3, 2, 1}, {5, 6, 3, 4, 1, 2},
      {1, 3, 5, 2, 4, 6}, {5, 3, 1, 6, 4, 2}, {6, 4, 2, 5, 3, 1}, {2, 4, 6, 1, 3, 5}};
  for (char orientation = 1; orientation <= 8; ++orientation) {
    for (const bool little : {true, false}) {
      const auto image =
          DecodeImage(RawPng(2, 3, 8, 0, rows, PngChunk("eXIf", Exif(orientation, little))));
      ASSERT_TRUE(image.ok()) << image.status();
      EXPECT_EQ(image->height, orientation < 5 ? 3 : 2);
      EXPECT_EQ(image->width, orientation < 5 ? 2 : 3);
      EXPECT_EQ(image->pixels, upright[static_cast<size_t>(orientation - 1)]) << +orientation;
    }
  }
}

TEST(ImageCodecTest, JpegsAreTurnedUprightToo) {
  Image image{8, 16, 1, std::vector<uint8_t>(128, 0)};
  for (size_t i = 0; i < 8; ++i) image.pixels[i] = 255;
  std::string file = EncodeJpeg(image);
  const std::string exif = std::string("Exif\0\0", 6) + Exif(6);
  file.insert(2, std::string("\xff\xe1\0", 3) + static_cast<char>(exif.size() + 2) + exif);
  const auto turned = DecodeImage(file);
  ASSERT_TRUE(turned.ok()) << turned.status();
  EXPECT_EQ(turned->height, 16);
  EXPECT_EQ(turned->width, 8);
  // What was the first row's left half is the upper half of the right column.
  EXPECT_GT(turned->pixels[7], 100);
  EXPECT_LT(turned->pixels[0], 100);
  EXPECT_LT(turned->pixels[15 * 8 + 7], 100);
}

TEST(ImageCodecTest, DamagedExifMeansUpright) {
  const std::string exif = Exif(6);
  for (size_t size = 0; size < exif.size() - 4; ++size) {
    EXPECT_EQ(ExifOrientation(exif.substr(0, size)), 1) << size;
  }
  EXPECT_EQ(ExifOrientation(exif), 6);
  EXPECT_EQ(ExifOrientation(Exif(0)), 1);
  EXPECT_EQ(ExifOrientation(Exif(9)), 1);
  EXPECT_EQ(ExifOrientation("nonsense"), 1);
  for (size_t i = 4; i < exif.size(); ++i) {
    std::string bad = exif;
    bad[i] = '\xff';
    const int orientation = ExifOrientation(bad);
    EXPECT_GE(orientation, 1);
    EXPECT_LE(orientation, 8);
  }
}

TEST(ImageCodecTest, OrientationMayBeAnyWholeNumber) {
  // Type and value of the only entry, in both byte orders: BYTE, SHORT, LONG, and RATIONAL.
  for (const auto& [type, orientation] : {std::pair('\1', 6), {'\3', 6}, {'\4', 6}, {'\5', 1}}) {
    std::string little = Exif(6);
    little[12] = type;
    EXPECT_EQ(ExifOrientation(little), orientation) << +type;
    std::string big = Exif(0, /*little=*/false);
    big[13] = type;
    big[type == '\1' ? 18 : type == '\3' ? 19 : 21] = 6;
    EXPECT_EQ(ExifOrientation(big), orientation) << +type;
  }
  // Half of a LONG is not an orientation.
  std::string beyond = Exif(6);
  beyond[12] = 4;
  beyond[20] = 1;
  EXPECT_EQ(ExifOrientation(beyond), 1);
}

TEST(ImageCodecTest, InksBecomeColours) {
  Image inks{8, 8, 4, {}};
  for (int i = 0; i < 64; ++i) inks.pixels.insert(inks.pixels.end(), {255, 128, 0, 200});
  const auto image = DecodeImage(EncodeJpeg(inks));
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->channels, 3);
  EXPECT_EQ(image->pixels.size(), 8U * 8 * 3);
  EXPECT_NEAR(image->pixels[0], 200, 3);
  EXPECT_NEAR(image->pixels[1], 100, 3);
  EXPECT_NEAR(image->pixels[2], 0, 3);
  // The last pixel too: they are converted in place.
  EXPECT_NEAR(image->pixels[63 * 3], 200, 3);
}

TEST(ImageCodecTest, WhatIsPackedBesideThePixelsIsNotUnpacked) {
  // Each of these texts would unpack to 7 MB, all of them to 2 GB.
  const std::string text = std::string("k\0\0", 3) + Deflate(std::string(7'000'000, 'x'));
  std::string texts;
  for (int i = 0; i < 300; ++i) texts += PngChunk("zTXt", text);
  const auto peak_kib = [] {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  const auto before = peak_kib();
  EXPECT_THAT(PixelsOf(RawPng(1, 1, 8, 0, {0, 7}, texts)), ElementsAre(7));
  EXPECT_LT(peak_kib() - before, 200 << 10);
}

TEST(ImageCodecTest, RefusesChunksLongerThanTheFile) {
  std::string file = RawPng(1, 1, 8, 0, {0, 7});
  file[8] = '\xff';
  ExpectRefused(file, "truncated");
  ExpectRefused(RawPng(1, 1, 8, 0, {0, 7}, PngChunk("ABCD", "x")), "damaged");
}

TEST(ImageCodecTest, RefusesSidesThatNoPictureHas) {
  ExpectRefused(WithHeaderSize(*EncodePng(Gradient(4, 4, 1)), 100'000, 2), "65535 pixels a side");
}

TEST(ImageCodecTest, RefusesJpegsOfManyScans) {
  // All but the DC value in bands of one value, bit by bit.
  std::vector<jpeg_scan_info> scans = {{1, {0}, 0, 0, 0, 0}};
  for (int value = 1; value < 64; ++value) {
    scans.push_back({1, {0}, value, value, 0, 1});
    scans.push_back({1, {0}, value, value, 1, 0});
  }
  ExpectRefused(EncodeJpeg(Gradient(16, 16, 1), scans), "more than 100 scans");
}

TEST(ImageCodecTest, EncodesOnlySoundImages) {
  EXPECT_FALSE(EncodePng(Image{2, 2, 2, std::vector<uint8_t>(8)}).ok());
  EXPECT_FALSE(EncodePng(Image{2, 2, 1, std::vector<uint8_t>(3)}).ok());
  EXPECT_FALSE(EncodePng(Image{0, 2, 1, {}}).ok());
}

TEST(ImageCodecTest, WritesPicturesWithAPalette) {
  const std::vector<uint8_t> palette = {0, 0, 0, 255, 128, 1};
  const auto file = EncodePalettePng(1, 3, {1, 0, 1}, palette);
  ASSERT_TRUE(file.ok()) << file.status();
  const auto image = DecodeImage(*file);
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_THAT(image->pixels, testing::ElementsAre(255, 128, 1, 0, 0, 0, 255, 128, 1));
  EXPECT_FALSE(EncodePalettePng(1, 2, {1, 0, 1}, palette).ok());
  EXPECT_FALSE(EncodePalettePng(1, 3, {1, 0, 1}, {0, 0}).ok());
  EXPECT_FALSE(EncodePalettePng(0, 0, {}, palette).ok());
}

}  // namespace
}  // namespace atelier::models
