#include <dlfcn.h>
#include <png.h>

#include <atomic>
#include <random>

#include "tests/unit/models/encoded_pictures.h"

namespace {

// Bytes that zlib has unpacked in this program.
std::atomic<uint64_t> unpacked = 0;

}  // namespace

// In place of zlib's own, for libpng too: counts, and calls that.
extern "C" int inflate(z_streamp stream, int flush) {
  static const auto real = reinterpret_cast<int (*)(z_streamp, int)>(dlsym(RTLD_NEXT, "inflate"));
  const uint64_t before = stream->total_out;
  const int result = real(stream, flush);
  unpacked += stream->total_out - before;
  return result;
}

namespace atelier::models {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

struct Kind {
  int colour_type;
  int depth;
};
constexpr Kind kKinds[] = {
    {PNG_COLOR_TYPE_GRAY, 1},        {PNG_COLOR_TYPE_GRAY, 2},      {PNG_COLOR_TYPE_GRAY, 4},
    {PNG_COLOR_TYPE_GRAY, 8},        {PNG_COLOR_TYPE_GRAY, 16},     {PNG_COLOR_TYPE_RGB, 8},
    {PNG_COLOR_TYPE_RGB, 16},        {PNG_COLOR_TYPE_PALETTE, 1},   {PNG_COLOR_TYPE_PALETTE, 2},
    {PNG_COLOR_TYPE_PALETTE, 4},     {PNG_COLOR_TYPE_PALETTE, 8},   {PNG_COLOR_TYPE_GRAY_ALPHA, 8},
    {PNG_COLOR_TYPE_GRAY_ALPHA, 16}, {PNG_COLOR_TYPE_RGB_ALPHA, 8}, {PNG_COLOR_TYPE_RGB_ALPHA, 16}};

int ChannelsOf(int colour_type) {
  if (colour_type == PNG_COLOR_TYPE_PALETTE) return 1;
  return ((colour_type & PNG_COLOR_MASK_COLOR) != 0 ? 3 : 1) +
         ((colour_type & PNG_COLOR_MASK_ALPHA) != 0 ? 1 : 0);
}

struct Content {
  int height = 0;
  int width = 0;
  Kind kind = {};
  std::vector<std::vector<png_byte>> rows = {};  // As PNG stores them.
  std::vector<png_color> palette = {};
  int significant_bits = 0;  // 0 for none.
};

Content RandomContent(int height, int width, Kind kind) {
  std::mt19937 random(static_cast<unsigned>(height * 100 + width));
  Content content{height, width, kind};
  const int bits = width * ChannelsOf(kind.colour_type) * kind.depth;
  for (int y = 0; y < height; ++y) {
    auto& row = content.rows.emplace_back(static_cast<size_t>((bits + 7) / 8));
    for (png_byte& byte : row) byte = static_cast<png_byte>(random());
  }
  if (kind.colour_type == PNG_COLOR_TYPE_PALETTE) {
    for (int i = 0; i < 1 << kind.depth; ++i) {
      content.palette.push_back({static_cast<png_byte>(random()), static_cast<png_byte>(random()),
                                 static_cast<png_byte>(random())});
    }
  }
  return content;
}

void Append(png_structp png, png_bytep bytes, png_size_t size) {
  static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<char*>(bytes), size);
}

// By libpng.
std::string Encode(const Content& content, bool interlaced) {
  std::string file;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(png, &file, Append, nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(content.width),
               static_cast<png_uint_32>(content.height), content.kind.depth,
               content.kind.colour_type, interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (!content.palette.empty()) {
    png_set_PLTE(png, info, content.palette.data(), static_cast<int>(content.palette.size()));
  }
  if (content.significant_bits > 0) {
    const auto bits = static_cast<png_byte>(content.significant_bits);
    const png_color_8 all = {bits, bits, bits, bits, bits};
    png_set_sBIT(png, info, &all);
  }
  std::vector<png_bytep> rows;
  for (const auto& row : content.rows) rows.push_back(const_cast<png_bytep>(row.data()));
  png_set_rows(png, info, rows.data());
  png_write_png(png, info, PNG_TRANSFORM_IDENTITY, nullptr);
  png_destroy_write_struct(&png, &info);
  return file;
}

TEST(PngDecoderTest, InterlacedFilesOfEveryKindGiveTheSamePixels) {
  for (const Kind kind : kKinds) {
    for (const auto& [height, width] :
         std::vector<std::pair<int, int>>{{1, 1}, {1, 9}, {9, 1}, {2, 3}, {5, 5}, {13, 11}}) {
      const Content content = RandomContent(height, width, kind);
      const std::vector<uint8_t> pixels = PixelsOf(Encode(content, /*interlaced=*/false));
      EXPECT_EQ(PixelsOf(Encode(content, /*interlaced=*/true)), pixels)
          << "colour type " << kind.colour_type << ", " << kind.depth << " bits, " << height << "x"
          << width;
    }
  }
}

TEST(PngDecoderTest, EverySampleOfSixteenBitsIsRounded) {
  for (const int colour_type : {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_RGB}) {
    const Content content = RandomContent(9, 10, {colour_type, 16});
    std::vector<uint8_t> expected;
    for (const auto& row : content.rows) {
      for (size_t i = 0; i < row.size(); i += 2) {
        const int sample = (row[i] << 8) | row[i + 1];
        expected.push_back(static_cast<uint8_t>((sample * 255 + 32767) / 65535));
      }
    }
    for (const bool interlaced : {false, true}) {
      EXPECT_EQ(PixelsOf(Encode(content, interlaced)), expected) << interlaced;
    }
  }
}

// A row of 16-bit samples.
std::vector<png_byte> Samples(const std::vector<int>& values) {
  std::vector<png_byte> row;
  for (const int value : values) {
    row.push_back(static_cast<png_byte>(value >> 8));
    row.push_back(static_cast<png_byte>(value));
  }
  return row;
}

TEST(PngDecoderTest, TwelveBitsStoredAsTheyAreAreScaledByThem) {
  const std::vector<int> values = {0, 4095, 2048, 1234, 40, 4090};
  for (const bool interlaced : {false, true}) {
    Content grey{1, 6, {PNG_COLOR_TYPE_GRAY, 16}, {Samples(values)}, {}, 12};
    EXPECT_THAT(PixelsOf(Encode(grey, interlaced)), ElementsAre(0, 255, 128, 77, 2, 255));
    Content colour{1, 2, {PNG_COLOR_TYPE_RGB, 16}, {Samples(values)}, {}, 12};
    EXPECT_THAT(PixelsOf(Encode(colour, interlaced)), ElementsAre(0, 255, 128, 77, 2, 255));
    // The second pixel is transparent.
    Content alpha{1,  3, {PNG_COLOR_TYPE_GRAY_ALPHA, 16}, {Samples({9, 4095, 5, 0, 1234, 4095})},
                  {}, 12};
    EXPECT_THAT(PixelsOf(Encode(alpha, interlaced)), ElementsAre(1, 255, 77));
  }
  EXPECT_THAT(PixelsOf(RawPng(3, 1, 8, 0, {0, 31, 15, 0}, PngChunk("sBIT", "\5"))),
              ElementsAre(255, 123, 0));
}

TEST(PngDecoderTest, SamplesThatAreScaledStayWhatTheyAre) {
  // 12 bits as PNG demands them: by rounding, by repeating bits, and by zeros; all of them dark.
  const auto scaled = [](int value) { return (value * 65535 + 2047) / 4095; };
  const auto repeated = [](int value) { return (value << 4) | (value >> 8); };
  const std::vector<int> values = {scaled(3), scaled(200), repeated(250), 240 << 4};
  Content dark{1, 4, {PNG_COLOR_TYPE_GRAY, 16}, {Samples(values)}, {}, 12};
  EXPECT_THAT(PixelsOf(Encode(dark, false)), ElementsAre(0, 12, 16, 15));
  // One sample beyond twelve bits.
  Content bright{1, 3, {PNG_COLOR_TYPE_GRAY, 16}, {Samples({1234, 4096, 65535})}, {}, 12};
  EXPECT_THAT(PixelsOf(Encode(bright, false)), ElementsAre(5, 16, 255));
}

TEST(PngDecoderTest, WhatWouldNotBeSeenOnWhiteIsLaidOverBlack) {
  // White and light grey strokes, in grey, colours and a palette.
  EXPECT_THAT(PixelsOf(RawPng(3, 1, 8, 4, {0, '\xff', '\xff', '\xf0', '\x80', '\xff', 0})),
              ElementsAre(255, 120, 0));
  EXPECT_THAT(PixelsOf(RawPng(2, 1, 8, 6, {0, '\xff', '\xff', 0, '\xff', 0, 0, 0, 0})),
              ElementsAre(255, 255, 0, 0, 0, 0));
  const std::string palette =
      PngChunk("PLTE", "\xff\xff\xff\xff\xff\xff") + PngChunk("tRNS", std::string(1, '\0'));
  EXPECT_THAT(PixelsOf(RawPng(2, 1, 8, 3, {0, 0, 1}, palette)),
              ElementsAre(0, 0, 0, 255, 255, 255));
}

TEST(PngDecoderTest, WhatIsSeenOnWhiteStaysThere) {
  // A light thing with a shadow, and strokes so faint that neither ground shows them well.
  EXPECT_THAT(PixelsOf(RawPng(3, 1, 8, 4, {0, '\xff', '\xff', '\xc8', '\xff', 0, 0})),
              ElementsAre(255, 200, 255));
  EXPECT_THAT(PixelsOf(RawPng(2, 1, 8, 4, {0, 0, 10, 0, 0})), ElementsAre(245, 255));
}

TEST(PngDecoderTest, RefusesPicturesThatAreWhollyTransparent) {
  ExpectRefused(RawPng(2, 1, 8, 4, {0, 9, 0, '\xff', 0}), "wholly transparent");
}

TEST(PngDecoderTest, NamesApplesVariant) {
  std::string file = RawPng(1, 1, 8, 0, {0, 7});
  file.insert(8, PngChunk("CgBI", {'\x50', 0, '\x20', 2}));
  ExpectRefused(file, "Apple's own variant of PNG (CgBI)");
}

TEST(PngDecoderTest, UnpacksNothingBehindTheLastRow) {
  for (const char interlaced : {'\0', '\1'}) {
    std::string file =
        RawPng(28, 28, 8, 0, std::string(40 * 28, '\0'), "", std::string(20'000'000, 'x'));
    file[28] = interlaced;
    const uint32_t checksum =
        static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(&file[12]), 17));
    for (int i = 0; i < 4; ++i) file[29 + i] = static_cast<char>(checksum >> (24 - 8 * i));
    const uint64_t before = unpacked;
    EXPECT_THAT(PixelsOf(file), Each(0));
    EXPECT_GT(unpacked - before, 28 * 28);
    EXPECT_LT(unpacked - before, 100'000);
  }
}

TEST(PngDecoderTest, RefusesCompressedDataThatEndsEarly) {
  for (const char rows : {'\1', '\2'}) {
    ExpectRefused(RawPng(2, 3, 8, 0, std::string(static_cast<size_t>(3 * rows), '\0')), "damaged");
  }
}

TEST(PngDecoderTest, RefusesADamagedChecksumOfThePixels) {
  std::string file = RawPng(1, 1, 8, 0, {0, 7}, "", std::string(100, 'x'));
  file[file.size() - 14] ^= 1;
  ExpectRefused(file, "damaged");
}

TEST(PngDecoderTest, GammaIsMadeThatOfScreens) {
  // 1.0: linear light.
  const std::string linear = PngChunk("gAMA", {0, 1, '\x86', '\xa0'});
  EXPECT_THAT(PixelsOf(RawPng(2, 1, 8, 0, {0, 55, '\xff'}, linear)), ElementsAre(127, 255));
  EXPECT_THAT(PixelsOf(RawPng(2, 1, 16, 0, {0, 55, 55, '\xff', '\xff'}, linear)),
              ElementsAre(127, 255));
  // 0.45455, and none.
  EXPECT_THAT(PixelsOf(RawPng(1, 1, 8, 0, {0, 55}, PngChunk("gAMA", {0, 0, '\xb1', '\x8f'}))),
              ElementsAre(55));
  EXPECT_THAT(PixelsOf(RawPng(1, 1, 8, 0, {0, 55}, PngChunk("gAMA", {0, 0, 0, 0}))),
              ElementsAre(55));
}

TEST(PngDecoderTest, EndsWhenItIsNoLongerWanted) {
  const std::string file = Encode(RandomContent(100, 100, {PNG_COLOR_TYPE_GRAY, 16}), true);
  int asked = 0;
  const auto image = DecodeImage(file, {}, [&] {
    return ++asked < 3 ? absl::OkStatus() : absl::DeadlineExceededError("too late");
  });
  EXPECT_EQ(image.status(), absl::DeadlineExceededError("too late"));
  EXPECT_EQ(asked, 3);
}

}  // namespace
}  // namespace atelier::models
