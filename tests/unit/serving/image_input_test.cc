#include "server/serving/image_input.h"

#include <cmath>
#include <limits>

#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/serving/input_error.h"

namespace atelier::serving {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr models::ImageShape kShape = {1, 2, 3};

std::string Png(std::int64_t height, std::int64_t width, std::int64_t channels = 1) {
  models::Image image{height, width, channels, {}};
  for (std::int64_t i = 0; i < height * width * channels; ++i) {
    image.pixels.push_back(static_cast<std::uint8_t>(i * 10));
  }
  return *models::EncodePng(image);
}

// The header of a PNG file that claims 20,000×20,000 pixels, and nothing behind it.
std::string HugePng() {
  std::string file = Png(2, 3);
  const char extent[] = {0x00, 0x00, 0x4E, 0x20};
  file.replace(16, 4, extent, 4).replace(20, 4, extent, 4);
  // CRC of "IHDR" with these extents, 8 bits, grey.
  unsigned crc = 0xFFFFFFFFu;
  for (int i = 12; i < 29; ++i) {
    crc ^= static_cast<unsigned char>(file[static_cast<std::size_t>(i)]);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
  }
  crc = ~crc;
  for (int i = 0; i < 4; ++i) {
    file[static_cast<std::size_t>(29 + i)] = static_cast<char>(crc >> (24 - 8 * i));
  }
  return file;
}

absl::StatusOr<CheckedImages> CheckFiles(const std::vector<std::string>& files,
                                         models::FitOptions fit = {},
                                         const InputLimits& limits = {}) {
  EncodedImages input{.files = {}, .fit = fit};
  for (const std::string& file : files) input.files.push_back(file);
  return CheckImages(input, kShape, limits);
}

absl::StatusOr<CheckedImages> CheckFloats(const std::vector<float>& pixels) {
  return CheckImages(FloatImages{pixels}, kShape, InputLimits());
}

absl::StatusOr<CheckedImages> CheckBytes(std::size_t size, InputLimits limits = {}) {
  const std::vector<std::uint8_t> pixels(size);
  return CheckImages(RawImages{pixels}, kShape, limits);
}

TEST(ImageInputTest, TakesBytesAsTheyAre) {
  const std::vector<std::uint8_t> pixels = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  const auto images = CheckImages(RawImages{pixels}, kShape, InputLimits());
  ASSERT_TRUE(images.ok()) << images.status();
  EXPECT_EQ(images->count, 2);
  EXPECT_EQ(std::get<absl::Span<const std::uint8_t>>(images->pixels).data(), pixels.data());
}

TEST(ImageInputTest, RefusesBytesThatAreNoWholeNumberOfImages) {
  for (const std::size_t size : {0, 1, 5, 7}) {
    const auto images = CheckBytes(size);
    EXPECT_EQ(images.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(FieldOf(images.status()), "raw.pixels");
    EXPECT_THAT(std::string(images.status().message()), HasSubstr("multiple of 6"));
  }
}

TEST(ImageInputTest, RefusesMoreImagesThanTheLimit) {
  EXPECT_TRUE(CheckBytes(2 * 6, {.max_images = 2}).ok());
  const auto images = CheckBytes(3 * 6, {.max_images = 2});
  EXPECT_THAT(std::string(images.status().message()), HasSubstr("2 at most"));
}

TEST(ImageInputTest, TakesNumbersFromZeroToOne) {
  EXPECT_TRUE(CheckFloats({0, 1, 0.5, 0.25, 0.125, 1e-30f}).ok());
}

TEST(ImageInputTest, RefusesNumbersOutsideAndSaysWhich) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const auto& [value, word] :
       std::vector<std::pair<float, const char*>>{{std::nanf(""), "nan"},
                                                  {kInfinity, "inf"},
                                                  {-kInfinity, "-inf"},
                                                  {2, "is 2"},
                                                  {-0.5, "-0.5"}}) {
    const auto images = CheckFloats({0, 0, 0, value, 0, 0});
    EXPECT_EQ(FieldOf(images.status()), "floats.pixels");
    EXPECT_THAT(std::string(images.status().message()), HasSubstr("Pixel 3"));
    EXPECT_THAT(std::string(images.status().message()), HasSubstr(word));
  }
}

TEST(ImageInputTest, RefusesNumbersThatAreNoWholeNumberOfImages) {
  EXPECT_EQ(FieldOf(CheckFloats({}).status()), "floats.pixels");
  EXPECT_EQ(FieldOf(CheckFloats({0, 0}).status()), "floats.pixels");
}

TEST(ImageInputTest, DecodesFilesInTheirOrder) {
  const auto images = CheckFiles({Png(2, 3), Png(2, 3)});
  ASSERT_TRUE(images.ok()) << images.status();
  EXPECT_EQ(images->count, 2);
  EXPECT_THAT(images->decoded, ElementsAre(0, 10, 20, 30, 40, 50, 0, 10, 20, 30, 40, 50));
  EXPECT_EQ(std::get<absl::Span<const std::uint8_t>>(images->pixels).data(),
            images->decoded.data());
}

TEST(ImageInputTest, MakesColourGreyWhereTheModelIs) {
  const auto images = CheckFiles({Png(2, 3, 3)});
  ASSERT_TRUE(images.ok()) << images.status();
  // The first pixel is (0, 10, 20): 0.587 × 10 + 0.114 × 20.
  EXPECT_EQ(images->decoded[0], 8);
  EXPECT_EQ(images->decoded.size(), 6);
}

TEST(ImageInputTest, BringsOtherSizesToTheModels) {
  const auto images = CheckFiles({Png(4, 6), Png(2, 3)});
  ASSERT_TRUE(images.ok()) << images.status();
  EXPECT_EQ(images->count, 2);
  EXPECT_EQ(images->decoded.size(), 12);
  // Each pixel the mean of four: 0, 10, 60 and 70 at first.
  EXPECT_EQ(images->decoded[0], 35);
  EXPECT_EQ(images->decoded[6], 0);
}

TEST(ImageInputTest, InvertsOnRequest) {
  const auto images = CheckFiles({Png(2, 3)}, {.inversion = models::Inversion::kYes});
  ASSERT_TRUE(images.ok()) << images.status();
  EXPECT_THAT(images->decoded, ElementsAre(255, 245, 235, 225, 215, 205));
}

TEST(ImageInputTest, RefusesOtherSizesOnRequestAndNamesBoth) {
  const auto images = CheckFiles({Png(2, 3), Png(4, 5)}, {models::Resize::kNone});
  EXPECT_EQ(images.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldOf(images.status()), "encoded.files[1]");
  const std::string message(images.status().message());
  for (const char* extent : {"2", "3", "4", "5"}) EXPECT_THAT(message, HasSubstr(extent));
}

TEST(ImageInputTest, BoundsThePixelsOfARequest) {
  InputLimits limits;
  limits.max_file_pixels = 12;
  EXPECT_TRUE(CheckFiles({Png(2, 3), Png(2, 3)}, {}, limits).ok());
  const auto images = CheckFiles({Png(2, 3), Png(2, 3), Png(1, 1)}, {}, limits);
  EXPECT_EQ(FieldOf(images.status()), "encoded.files");
  EXPECT_THAT(std::string(images.status().message()), HasSubstr("13 pixels"));
}

TEST(ImageInputTest, RefusesFilesThatAreNoWholePictures) {
  const std::string good = Png(2, 3);
  for (const std::string& bad : {std::string(), std::string("hello"), good.substr(0, 40),
                                 good.substr(0, good.size() - 20), HugePng()}) {
    const auto images = CheckFiles({bad});
    EXPECT_EQ(images.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(FieldOf(images.status()), "encoded.files[0]");
  }
}

TEST(ImageInputTest, EndsWithTheCallersReasonWhenItIsNoLongerWanted) {
  const std::string file = Png(2, 3);
  int asked = 0;
  const auto images = CheckImages(EncodedImages{{file, file, file}}, kShape, InputLimits(), [&] {
    return ++asked < 2 ? absl::OkStatus() : absl::CancelledError("gone");
  });
  EXPECT_EQ(images.status(), absl::CancelledError("gone"));
  EXPECT_EQ(asked, 2);
}

TEST(ImageInputTest, RefusesTwentyThousandPixelsSquaredByTheHeaderAlone) {
  EXPECT_THAT(std::string(CheckFiles({HugePng()}).status().message()), HasSubstr("20000"));
}

TEST(ImageInputTest, RefusesNoFilesAndTooMany) {
  EXPECT_EQ(FieldOf(CheckFiles({}).status()), "encoded.files");
  EXPECT_TRUE(CheckFiles(std::vector<std::string>(256, Png(2, 3))).ok());
  EXPECT_THAT(std::string(CheckFiles(std::vector<std::string>(257, Png(2, 3))).status().message()),
              HasSubstr("1 to 256"));
}

TEST(ImageInputTest, CountsBytesWhereTheyAre) {
  const std::string file = "12345";
  const std::vector<float> floats(3);
  const std::vector<std::uint8_t> bytes(7);
  EXPECT_EQ(SizeInBytes(EncodedImages{{file, file}}), 10);
  EXPECT_EQ(SizeInBytes(FloatImages{floats}), 12);
  EXPECT_EQ(SizeInBytes(RawImages{bytes}), 7);
}

}  // namespace
}  // namespace atelier::serving
