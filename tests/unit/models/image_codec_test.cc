#include "models/image_codec.h"

#include <zlib.h>

#include <cstdio>
#include <cstdlib>
#include <string>

// Needs <cstdio> before it.
#include <jpeglib.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace atelier::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Image Gradient(int64_t height, int64_t width, int64_t channels) {
  Image image{height, width, channels, {}};
  for (int64_t i = 0; i < height * width * channels; ++i) {
    image.pixels.push_back(static_cast<uint8_t>(i * 255 / (height * width * channels)));
  }
  return image;
}

std::string EncodeJpeg(const Image& image) {
  jpeg_compress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;  // NOLINT: libjpeg's type.
  jpeg_mem_dest(&jpeg, &bytes, &size);
  jpeg.image_width = static_cast<JDIMENSION>(image.width);
  jpeg.image_height = static_cast<JDIMENSION>(image.height);
  jpeg.input_components = static_cast<int>(image.channels);
  jpeg.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 100, TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < jpeg.image_height) {
    auto* row = const_cast<uint8_t*>(
        &image.pixels[static_cast<size_t>(jpeg.next_scanline * image.width * image.channels)]);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::string file(reinterpret_cast<char*>(bytes), size);
  std::free(bytes);
  return file;
}

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

void ExpectRefused(const std::string& file, const std::string& message,
                   const DecodeLimits& limits = {}) {
  const auto image = DecodeImage(file, limits);
  EXPECT_TRUE(absl::IsInvalidArgument(image.status())) << image.status();
  EXPECT_THAT(std::string(image.status().message()), HasSubstr(message));
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
  ExpectRefused("GIF89a and more", "neither a PNG nor a JPEG");
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
  for (std::string file : {*EncodePng(Gradient(9, 9, 3)), EncodeJpeg(Gradient(9, 9, 3))}) {
    for (char& byte : file) {
      byte ^= 0x55;
      const auto image = DecodeImage(file);
      if (image.ok()) {
        EXPECT_EQ(static_cast<int64_t>(image->pixels.size()),
                  image->height * image->width * image->channels);
      }
      byte ^= 0x55;
    }
  }
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

TEST(ImageCodecTest, MakesWhatANetworkTakesOrSaysWhyNot) {
  const std::string png = *EncodePng(Gradient(3, 2, 3));
  const auto pixels = DecodeForShape(png, {1, 3, 2});
  ASSERT_TRUE(pixels.ok()) << pixels.status();
  EXPECT_EQ(pixels->size(), 6U);
  const auto wrong = DecodeForShape(png, {1, 28, 28});
  EXPECT_THAT(std::string(wrong.status().message()),
              HasSubstr("3x2 pixels; the model takes 28x28"));
}

TEST(ImageCodecTest, EncodesOnlySoundImages) {
  EXPECT_FALSE(EncodePng(Image{2, 2, 2, std::vector<uint8_t>(8)}).ok());
  EXPECT_FALSE(EncodePng(Image{2, 2, 1, std::vector<uint8_t>(3)}).ok());
  EXPECT_FALSE(EncodePng(Image{0, 2, 1, {}}).ok());
}

}  // namespace
}  // namespace atelier::models
