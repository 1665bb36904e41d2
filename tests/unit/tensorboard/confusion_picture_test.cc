#include "server/tensorboard/confusion_picture.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "models/pictures/image_codec.h"

namespace atelier::tensorboard {
namespace {

v1::ConfusionMatrix Matrix(const std::vector<std::string>& names) {
  v1::ConfusionMatrix matrix;
  for (std::size_t i = 0; i < names.size(); ++i) {
    matrix.add_class_names(names[i]);
    v1::ConfusionRow* const row = matrix.add_rows();
    for (std::size_t j = 0; j < names.size(); ++j) row->add_counts(i == j ? 9 : 1);
  }
  return matrix;
}

models::Image Decode(const Picture& picture) {
  auto image = models::DecodeImage(picture.png);
  EXPECT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->height, picture.height);
  EXPECT_EQ(image->width, picture.width);
  return *std::move(image);
}

// White dots in a rectangle.
int Ink(const models::Image& image, int top, int left, int height, int width) {
  int dots = 0;
  for (int y = top; y < top + height; ++y) {
    for (int x = left; x < left + width; ++x) {
      const std::size_t at = static_cast<std::size_t>((y * image.width + x) * image.channels);
      dots += image.pixels[at] == 255;
    }
  }
  return dots;
}

TEST(ConfusionPictureTest, EachAxisHasTheNamesOfTheClasses) {
  const auto picture = DrawConfusion(Matrix({"bag", "boot", "."}));
  ASSERT_TRUE(picture.ok()) << picture.status();
  const models::Image image = Decode(*picture);
  // Margins, the title's height and four letters.
  const int edge = 3 * 4 + 10 + 4 * 6;
  for (int i = 0; i < 3; ++i) {
    const int beside = Ink(image, edge + 16 * i, edge - 4 - 24, 16, 24);
    const int above = Ink(image, edge - 4 - 24, edge + 16 * i, 24, 16);
    EXPECT_EQ(beside, above) << "the same name, turned";
    EXPECT_EQ(beside > 10, i < 2) << i;
    EXPECT_GT(beside, 0) << i;
  }
  EXPECT_GT(Ink(image, 4, edge, 10, 54), 20) << "what the columns are";
  EXPECT_GT(Ink(image, edge, 4, 60, 10), 10) << "what the rows are";
}

TEST(ConfusionPictureTest, LongAndForeignNamesAreCutAndReplaced) {
  const auto same = [](const std::string& name, const std::string& other) {
    return DrawConfusion(Matrix({name, "b"}))->png == DrawConfusion(Matrix({other, "b"}))->png;
  };
  EXPECT_TRUE(same("gr\xC3\xBCn\n", "gr?n?"));
  EXPECT_TRUE(same("a class with quite a long name", "a class with quite.."));
  EXPECT_FALSE(same("a", "c"));
}

TEST(ConfusionPictureTest, ManyClassesHaveNoNamesAndABoundedPicture) {
  std::vector<std::string> names(100, "class");
  EXPECT_GE(DrawConfusion(Matrix(names))->height, 100 * 16);
  names.resize(1000);
  const auto picture = DrawConfusion(Matrix(names));
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_LE(picture->height * picture->width, 1'500'000);
}

TEST(ConfusionPictureTest, RefusesWhatIsNotSquare) {
  EXPECT_FALSE(DrawConfusion(Matrix({})).ok());
  v1::ConfusionMatrix matrix = Matrix({"a", "b"});
  matrix.mutable_rows(1)->add_counts(1);
  EXPECT_FALSE(DrawConfusion(matrix).ok());
}

}  // namespace
}  // namespace atelier::tensorboard
