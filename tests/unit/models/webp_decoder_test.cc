#include <webp/encode.h>
#include <webp/mux.h>

#include <string>
#include <vector>

#include "tests/unit/models/encoded_pictures.h"

namespace atelier::models {
namespace {

using ::testing::ElementsAre;

std::string Taken(uint8_t* bytes, size_t size) {
  std::string file(reinterpret_cast<char*>(bytes), size);
  WebPFree(bytes);
  return file;
}

// Of three or four channels, without loss.
std::string EncodeWebp(const Image& image) {
  const auto height = static_cast<int>(image.height);
  const auto width = static_cast<int>(image.width);
  uint8_t* bytes = nullptr;
  const size_t size =
      image.channels == 4
          ? WebPEncodeLosslessRGBA(image.pixels.data(), width, height, 4 * width, &bytes)
          : WebPEncodeLosslessRGB(image.pixels.data(), width, height, 3 * width, &bytes);
  EXPECT_GT(size, 0U);
  return Taken(bytes, size);
}

std::string EncodeLossyWebp(const Image& image) {
  uint8_t* bytes = nullptr;
  const auto width = static_cast<int>(image.width);
  const size_t size = WebPEncodeRGB(image.pixels.data(), width, static_cast<int>(image.height),
                                    3 * width, 95, &bytes);
  return Taken(bytes, size);
}

std::string WithExif(const std::string& webp, const std::string& exif) {
  WebPMux* const mux = WebPMuxNew();
  const WebPData image = {reinterpret_cast<const uint8_t*>(webp.data()), webp.size()};
  const WebPData chunk = {reinterpret_cast<const uint8_t*>(exif.data()), exif.size()};
  EXPECT_EQ(WebPMuxSetImage(mux, &image, 1), WEBP_MUX_OK);
  EXPECT_EQ(WebPMuxSetChunk(mux, "EXIF", &chunk, 1), WEBP_MUX_OK);
  WebPData file = {};
  EXPECT_EQ(WebPMuxAssemble(mux, &file), WEBP_MUX_OK);
  WebPMuxDelete(mux);
  std::string bytes(reinterpret_cast<const char*>(file.bytes), file.size);
  WebPDataClear(&file);
  return bytes;
}

std::string Animated() {
  WebPAnimEncoder* const encoder = WebPAnimEncoderNew(8, 8, nullptr);
  for (int frame = 0; frame < 2; ++frame) {
    const Image image = Gradient(8, 8, 3);
    WebPPicture picture;
    WebPPictureInit(&picture);
    picture.width = picture.height = 8;
    picture.use_argb = 1;
    WebPPictureImportRGB(&picture, image.pixels.data(), 24);
    // Frames that are equal would be joined.
    picture.argb[frame] = 0xffffffff;
    EXPECT_NE(WebPAnimEncoderAdd(encoder, &picture, 100 * frame, nullptr), 0);
    WebPPictureFree(&picture);
  }
  WebPAnimEncoderAdd(encoder, nullptr, 200, nullptr);
  WebPData file = {};
  WebPAnimEncoderAssemble(encoder, &file);
  WebPAnimEncoderDelete(encoder);
  std::string bytes(reinterpret_cast<const char*>(file.bytes), file.size);
  WebPDataClear(&file);
  return bytes;
}

TEST(WebpDecoderTest, KeepsEveryPixelOfALosslessFile) {
  const Image image = Gradient(5, 7, 3);
  const auto again = DecodeImage(EncodeWebp(image));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->height, 5);
  EXPECT_EQ(again->width, 7);
  EXPECT_EQ(again->channels, 3);
  EXPECT_EQ(again->pixels, image.pixels);
}

TEST(WebpDecoderTest, DecodesLossyFiles) {
  const Image image{16, 16, 3, std::vector<uint8_t>(16 * 16 * 3, 180)};
  const auto again = DecodeImage(EncodeLossyWebp(image));
  ASSERT_TRUE(again.ok()) << again.status();
  ASSERT_EQ(again->pixels.size(), image.pixels.size());
  for (const uint8_t pixel : again->pixels) EXPECT_NEAR(pixel, 180, 3);
}

TEST(WebpDecoderTest, LaysTransparencyOverWhite) {
  const Image image{1, 3, 4, {0, 0, 0, 255, 10, 20, 30, 0, 0, 0, 0, 128}};
  const auto seen = DecodeImage(EncodeWebp(image));
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_THAT(seen->pixels, ElementsAre(0, 0, 0, 255, 255, 255, 127, 127, 127));
  ExpectRefused(EncodeWebp({1, 2, 4, {1, 2, 3, 0, 4, 5, 6, 0}}), "wholly transparent");
}

TEST(WebpDecoderTest, TurnsPicturesUpright) {
  const std::string file = EncodeWebp(Gradient(3, 2, 3));
  for (const std::string& exif : {Exif(6), std::string("Exif\0\0", 6) + Exif(6)}) {
    const std::string turned = WithExif(file, exif);
    const auto header = ReadPictureHeader(turned);
    ASSERT_TRUE(header.ok()) << header.status();
    EXPECT_EQ(header->format, "WebP");
    EXPECT_EQ(header->height, 2);
    EXPECT_EQ(header->width, 3);
    EXPECT_EQ(header->channels, 3);
    const auto image = DecodeImage(turned);
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ(image->height, 2);
    // The upper left pixel was the lower left one.
    EXPECT_EQ(image->pixels[0], Gradient(3, 2, 3).pixels[2 * 2 * 3]);
  }
}

TEST(WebpDecoderTest, RefusesAnimations) {
  ExpectRefused(Animated(), "animated");
  EXPECT_FALSE(ReadPictureHeader(Animated()).ok());
}

TEST(WebpDecoderTest, RefusesEveryTruncation) {
  for (const std::string& file :
       {EncodeWebp(Gradient(28, 28, 3)), EncodeLossyWebp(Gradient(28, 28, 3))}) {
    for (size_t size = 0; size + 2 < file.size(); size += 7) {
      EXPECT_FALSE(DecodeImage(file.substr(0, size)).ok()) << size << " of " << file.size();
    }
  }
}

TEST(WebpDecoderTest, RefusesRandomBytesBehindItsSignature) {
  std::string file = std::string("RIFF\xff\0\0\0WEBPVP8 ", 16);
  for (uint32_t i = 0, state = 1; i < 4000; ++i) {
    state = state * 1664525u + 1013904223u;
    file += static_cast<char>(state >> 24);
  }
  ExpectRefused(file, "damaged");
  ExpectRefused(std::string("RIFF\0\0\0\0WEBP", 12), "damaged");
}

TEST(WebpDecoderTest, SurvivesEveryFlippedByte) {
  ExpectSurvivesFlippedBytes(EncodeWebp(Gradient(9, 9, 3)));
  ExpectSurvivesFlippedBytes(EncodeLossyWebp(Gradient(9, 9, 3)));
}

TEST(WebpDecoderTest, ChecksSizesBeforeDecoding) {
  ExpectRefused(EncodeWebp(Gradient(4, 4, 3)), "4x4 pixels; at most 15", {.max_pixels = 15});
  // 16,383 pixels a side, as large as the format allows, of which nothing is there.
  std::string huge("RIFF\x16\0\0\0WEBPVP8L\x0a\0\0\0\x2f\xfe\xbf\xff\x0f\0\0\0\0\0", 30);
  ExpectRefused(huge, "16383x16383 pixels");
}

TEST(WebpDecoderTest, EndsWhenItIsNoLongerWanted) {
  Image noise = Gradient(100, 100, 3);
  uint32_t state = 1;
  for (uint8_t& pixel : noise.pixels) pixel = static_cast<uint8_t>((state *= 1664525u) >> 24);
  const std::string file = EncodeWebp(noise);
  ASSERT_GT(file.size(), 4 * 4096U);
  int asked = 0;
  const auto image = DecodeImage(
      file, {}, [&] { return ++asked < 3 ? absl::OkStatus() : absl::CancelledError("gone"); });
  EXPECT_EQ(image.status(), absl::CancelledError("gone"));
  EXPECT_EQ(asked, 3);
}

TEST(WebpDecoderTest, OtherFormatsAreNamed) {
  const std::string bmp = std::string("BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", 18);
  ExpectRefused(bmp, "the picture is a BMP file; PNG, JPEG and WebP files are read: convert it");
  ExpectRefused(std::string("II*\0", 4), "a TIFF file");
  ExpectRefused(std::string("\0\0\0\x20"
                            "ftypavif",
                            12),
                "an AVIF file");
  ExpectRefused("BMW and other cars", "no PNG, JPEG or WebP file");
  ExpectRefused("RIFF1234WAVEfmt ", "no PNG, JPEG or WebP file");
}

}  // namespace
}  // namespace atelier::models
