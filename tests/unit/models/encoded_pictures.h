// PNG and JPEG files of every kind, made for tests, and what decoding them should give.
#ifndef ATELIER_TESTS_UNIT_MODELS_ENCODED_PICTURES_H_
#define ATELIER_TESTS_UNIT_MODELS_ENCODED_PICTURES_H_

#include <zlib.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

// Needs <cstdio> before it.
#include <jpeglib.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/pictures/image_codec.h"

namespace atelier::models {

inline Image Gradient(int64_t height, int64_t width, int64_t channels) {
  Image image{height, width, channels, {}};
  for (int64_t i = 0; i < height * width * channels; ++i) {
    image.pixels.push_back(static_cast<uint8_t>(i * 255 / (height * width * channels)));
  }
  return image;
}

// Of one, three or four channels: grey, colours or inks, which are inverted; in those scans, if
// any.
inline std::string EncodeJpeg(const Image& image, const std::vector<jpeg_scan_info>& scans = {}) {
  constexpr J_COLOR_SPACE kSpaces[] = {JCS_GRAYSCALE, JCS_UNKNOWN, JCS_RGB, JCS_CMYK};
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
  jpeg.in_color_space = kSpaces[image.channels - 1];
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 100, TRUE);
  if (!scans.empty()) jpeg.scan_info = scans.data();
  jpeg.num_scans = static_cast<int>(scans.size());
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

// A chunk with its length and checksum.
inline std::string PngChunk(const std::string& type, const std::string& data) {
  const auto number = [](uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
    return bytes;
  };
  const std::string body = type + data;
  return number(static_cast<uint32_t>(data.size())) + body +
         number(static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(body.data()),
                                            static_cast<uInt>(body.size()))));
}

inline std::string Deflate(const std::string& data) {
  std::string packed(compressBound(data.size()), '\0');
  uLongf size = packed.size();
  compress2(reinterpret_cast<Bytef*>(packed.data()), &size,
            reinterpret_cast<const Bytef*>(data.data()), data.size(), 9);
  packed.resize(size);
  return packed;
}

// A PNG file of any kind: `rows` as they are stored, each with its filter byte; `before` are chunks
// before the pixels, `after` is what the compressed pixels go on with.
inline std::string RawPng(char width, char height, char depth, char colour_type,
                          const std::string& rows, const std::string& before = "",
                          const std::string& after = "") {
  const std::string header = {0, 0, 0, width, 0, 0, 0, height, depth, colour_type, 0, 0, 0};
  return std::string("\x89PNG\r\n\x1a\n", 8) + PngChunk("IHDR", header) + before +
         PngChunk("IDAT", Deflate(rows + after)) + PngChunk("IEND", "");
}

// EXIF data that holds an orientation alone.
inline std::string Exif(char orientation, bool little = true) {
  return little ? std::string({'I', 'I', '*', 0, 8, 0,           0, 0, 1, 0, 0x12, 0x01, 3,
                               0,   1,   0,   0, 0, orientation, 0, 0, 0, 0, 0,    0,    0})
                : std::string({'M', 'M', 0, '*', 0, 0, 0,           8, 0, 1, 0x01, 0x12, 0,
                               3,   0,   0, 0,   1, 0, orientation, 0, 0, 0, 0,    0,    0});
}

inline std::vector<uint8_t> PixelsOf(const std::string& file) {
  const auto image = DecodeImage(file);
  EXPECT_TRUE(image.ok()) << image.status();
  return image.ok() ? image->pixels : std::vector<uint8_t>();
}

inline void ExpectRefused(const std::string& file, const std::string& message,
                          const DecodeLimits& limits = {}) {
  const auto image = DecodeImage(file, limits);
  EXPECT_TRUE(absl::IsInvalidArgument(image.status())) << image.status();
  EXPECT_THAT(std::string(image.status().message()), testing::HasSubstr(message));
}

// Decodes the file with each of its bytes changed in turn: what is no error is a whole picture.
inline void ExpectSurvivesFlippedBytes(std::string file) {
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

}  // namespace atelier::models

#endif  // ATELIER_TESTS_UNIT_MODELS_ENCODED_PICTURES_H_
