#include "models/data/dataset.h"

#include <sys/stat.h>
#include <zlib.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/base/failure.h"
#include "tests/unit/models/temporary_folder.h"

namespace atelier::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kFashionMnist[] = "/usr/share/datasets/fashion-mnist";

// An IDX file of those dimensions whose bytes count up.
std::string Idx(const std::vector<uint32_t>& dimensions, size_t bytes, uint8_t first = 0) {
  std::string file = {0, 0, 8, static_cast<char>(dimensions.size())};
  for (const uint32_t d : dimensions) {
    for (int shift = 24; shift >= 0; shift -= 8) file += static_cast<char>(d >> shift);
  }
  for (size_t i = 0; i < bytes; ++i) file += static_cast<char>(first + i);
  return file;
}

std::string IdxLabels(const std::string& labels) {
  return Idx({static_cast<uint32_t>(labels.size())}, 0) + labels;
}

std::string Gzip(const std::string& bytes, const TemporaryFolder& folder) {
  const std::string path = folder.File("scratch.gz");
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
  std::string packed = folder.Read("scratch.gz");
  std::filesystem::remove(path);
  return packed;
}

// A folder with a sound data set: 4 training and 2 test images of 3x2, labels 0 to 2.
class DatasetTest : public testing::Test {
 protected:
  DatasetTest() {
    folder_.Write("train-images-idx3-ubyte", Idx({4, 3, 2}, 24));
    folder_.Write("train-labels-idx1-ubyte", IdxLabels(std::string("\0\1\2\1", 4)));
    folder_.Write("t10k-images-idx3-ubyte", Idx({2, 3, 2}, 12, 100));
    folder_.Write("t10k-labels-idx1-ubyte", IdxLabels(std::string("\2\0", 2)));
  }
  void Rename(const std::string& from, const std::string& to) {
    std::filesystem::rename(folder_.File(from), folder_.File(to));
  }
  void Remove(const std::string& name) { std::filesystem::remove(folder_.File(name)); }
  void ExpectBad(const std::string& message) {
    const auto dataset = Dataset::Load(folder_.path());
    ASSERT_FALSE(dataset.ok());
    EXPECT_EQ(ReasonOf(dataset.status()), FailureReason::kBadData);
    EXPECT_THAT(std::string(dataset.status().message()), HasSubstr(message));
  }

  TemporaryFolder folder_;
};

TEST_F(DatasetTest, HoldsWhatTheFilesHold) {
  const auto dataset = Dataset::Load(folder_.path());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ((*dataset)->shape(), (ImageShape{1, 3, 2}));
  EXPECT_THAT((*dataset)->training().labels, ElementsAre(0, 1, 2, 1));
  EXPECT_THAT((*dataset)->Image(SplitName::kTraining, 1), ElementsAre(6, 7, 8, 9, 10, 11));
  EXPECT_THAT((*dataset)->Image(SplitName::kTest, 0), ElementsAre(100, 101, 102, 103, 104, 105));
  EXPECT_THAT((*dataset)->class_names(), ElementsAre("0", "1", "2"));
}

TEST_F(DatasetTest, TellsItsInfoWithoutThePixels) {
  folder_.Write("class_names.json", R"(["cat", "dog", "hen"])");
  const auto info = Dataset::ReadInfo(folder_.path());
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->shape, (ImageShape{1, 3, 2}));
  EXPECT_EQ(info->training_images, 4);
  EXPECT_EQ(info->test_images, 2);
  EXPECT_THAT(info->class_names, ElementsAre("cat", "dog", "hen"));
}

TEST_F(DatasetTest, IsTheSameGzippedAndUnderOtherUsualNames) {
  const auto plain = Dataset::Load(folder_.path());
  ASSERT_TRUE(plain.ok());
  Rename("train-images-idx3-ubyte", "kmnist-train-images.idx3-ubyte");
  Rename("t10k-images-idx3-ubyte", "test-images-idx3-ubyte");
  folder_.Write("Train-Labels-idx1-ubyte.gz",
                Gzip(folder_.Read("train-labels-idx1-ubyte"), folder_));
  Remove("train-labels-idx1-ubyte");
  const auto other = Dataset::Load(folder_.path());
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ((*other)->checksum(), (*plain)->checksum());
  EXPECT_EQ((*other)->training().pixels, (*plain)->training().pixels);
}

TEST_F(DatasetTest, PrefersThePlainFileBesideItsGzippedCopy) {
  folder_.Write("train-labels-idx1-ubyte.gz", "not gzip");
  EXPECT_TRUE(Dataset::Load(folder_.path()).ok());
}

TEST_F(DatasetTest, ReadsImagesWithChannels) {
  folder_.Write("train-images-idx4-ubyte", Idx({4, 3, 1, 2}, 24));
  folder_.Write("t10k-images-idx4-ubyte", Idx({2, 3, 1, 2}, 12));
  Remove("train-images-idx3-ubyte");
  Remove("t10k-images-idx3-ubyte");
  const auto dataset = Dataset::Load(folder_.path());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ((*dataset)->shape(), (ImageShape{3, 1, 2}));
}

TEST_F(DatasetTest, ShiftsLabelsThatCountFromOne) {
  folder_.Write("train-labels-idx1-ubyte", IdxLabels("\1\3\2\1"));
  folder_.Write("t10k-labels-idx1-ubyte", IdxLabels("\2\3"));
  auto dataset = Dataset::Load(folder_.path());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT((*dataset)->training().labels, ElementsAre(0, 2, 1, 0));
  EXPECT_THAT((*dataset)->test().labels, ElementsAre(1, 2));
  EXPECT_THAT((*dataset)->class_names(), ElementsAre("1", "2", "3"));

  folder_.Write("class_names.json", R"(["a", "b", "c"])");
  dataset = Dataset::Load(folder_.path());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT((*dataset)->class_names(), ElementsAre("a", "b", "c"));
  EXPECT_THAT((*dataset)->test().labels, ElementsAre(1, 2));
}

TEST_F(DatasetTest, KeepsLabelsThatOnlyMissClassZero) {
  folder_.Write("train-labels-idx1-ubyte", IdxLabels("\1\2\2\1"));
  folder_.Write("t10k-labels-idx1-ubyte", IdxLabels("\2\1"));
  folder_.Write("class_names.json", R"(["a", "b", "c"])");
  const auto dataset = Dataset::Load(folder_.path());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT((*dataset)->training().labels, ElementsAre(1, 2, 2, 1));
}

TEST_F(DatasetTest, EndsWhenAskedTo) {
  StopSignal stop;
  stop.Stop();
  const auto dataset = Dataset::Load(folder_.path(), &stop);
  EXPECT_EQ(ReasonOf(dataset.status()), FailureReason::kCancelled);
}

TEST_F(DatasetTest, ReportsMissingFolderAndFiles) {
  EXPECT_THAT(std::string(Dataset::Load(folder_.path() + "/nowhere").status().message()),
              HasSubstr("nowhere cannot be read"));
  Remove("t10k-labels-idx1-ubyte");
  ExpectBad("has no file *t10k*labels*idx1-ubyte");
}

TEST_F(DatasetTest, ReportsAmbiguousFiles) {
  folder_.Write("emnist-train-images-idx3-ubyte", Idx({4, 3, 2}, 24));
  ExpectBad("emnist-train-images-idx3-ubyte, train-images-idx3-ubyte; keep one");
}

TEST_F(DatasetTest, ReportsCountsThatDisagree) {
  folder_.Write("train-labels-idx1-ubyte", IdxLabels(std::string("\0\1\2", 3)));
  ExpectBad("has 4 images but");
}

TEST_F(DatasetTest, ReportsShapesThatDisagree) {
  folder_.Write("t10k-images-idx3-ubyte", Idx({2, 2, 2}, 8));
  ExpectBad("has images of 1x3x2 but");
}

TEST_F(DatasetTest, ReportsLabelsWithoutClassName) {
  folder_.Write("class_names.json", R"(["cat", "dog"])");
  ExpectBad("label 2 in");
  EXPECT_FALSE(Dataset::ReadInfo(folder_.path()).ok());
}

TEST_F(DatasetTest, ReportsUnusableClassNames) {
  for (const char* json :
       {"", "{}", "[1, 2, 3]", R"(["a", "b")", R"(["a"])", R"(["a", "", "c"])"}) {
    folder_.Write("class_names.json", json);
    ExpectBad("class_names.json");
  }
}

TEST_F(DatasetTest, ReportsLabelsThatAreAllTheSame) {
  folder_.Write("train-labels-idx1-ubyte", IdxLabels(std::string(4, '\0')));
  folder_.Write("t10k-labels-idx1-ubyte", IdxLabels(std::string(2, '\0')));
  ExpectBad("two classes are needed");
}

struct DamagedImages {
  std::string name;
  std::string bytes;
  std::string message;
};

class DamagedImagesTest : public DatasetTest, public testing::WithParamInterface<DamagedImages> {};

TEST_P(DamagedImagesTest, IsReportedWithTheFile) {
  folder_.Write("train-images-idx3-ubyte", GetParam().bytes);
  ExpectBad(GetParam().message);
  ExpectBad("train-images-idx3-ubyte");
}

INSTANTIATE_TEST_SUITE_P(
    All, DamagedImagesTest,
    testing::Values(
        DamagedImages{"Empty", "", "truncated within its first four bytes"},
        DamagedImages{"MagicCut", std::string("\0\0", 2), "truncated within its first four bytes"},
        DamagedImages{"HeaderCut", Idx({4, 3, 2}, 24).substr(0, 9), "truncated within its header"},
        DamagedImages{"BodyCut", Idx({4, 3, 2}, 23), "promises 24 bytes and 23 are there"},
        DamagedImages{"TrailingBytes", Idx({4, 3, 2}, 25), "goes on after the 24 bytes"},
        DamagedImages{"AnotherFormat", "\x89PNG\r\n\x1a\n and more", "begins with 89504e47"},
        DamagedImages{"FloatType", std::string("\0\0\x0d\3", 4) + std::string(12, 1),
                      "begins with 00000d03"},
        DamagedImages{"NoDimensions", std::string("\0\0\x08\0", 4), "begins with 00000800"},
        DamagedImages{"FiveDimensions", Idx({1, 1, 1, 1, 1}, 1), "begins with 00000805"},
        DamagedImages{"NoImages", Idx({0, 3, 2}, 0), "it is empty"},
        DamagedImages{"LabelsInstead", IdxLabels("abcd"), "need 3 or 4 dimensions, it has 1"},
        DamagedImages{"AbsurdSize", Idx({0xffffffff, 0xffffffff, 0xffffffff}, 24),
                      "promises more than"},
        DamagedImages{"MoreThanTheFileCanHold", Idx({60000, 28, 28}, 24), "cannot hold"},
        DamagedImages{"WebPage", "<!DOCTYPE html><html>404</html>", "it is a web page"},
        DamagedImages{"WebPageAfterBlanks", "\r\n  <html>", "it is a web page"},
        DamagedImages{"LfsPointer", "version https://git-lfs.github.com/spec/v1\noid sha256:0",
                      "Git LFS pointer"},
        DamagedImages{"Zip", "PK\x03\x04 and more", "zip archive"},
        DamagedImages{"Integers", Idx({4, 3, 2}, 96).replace(2, 1, 1, '\x0c'),
                      "images are unsigned bytes"},
        DamagedImages{"ImageTooLarge", Idx({4, 1 << 14, 1 << 14}, 2 << 20), "at most 67108864"},
        DamagedImages{"BrokenGzip", "\x1f\x8b\x08 but nothing else that is gzip at all",
                      "train-images"}),
    [](const auto& test) { return test.param.name; });

TEST_F(DatasetTest, ReportsTruncatedAndCorruptGzip) {
  const std::string packed = Gzip(Idx({4, 3, 2}, 24), folder_);
  Remove("train-images-idx3-ubyte");
  folder_.Write("train-images-idx3-ubyte.gz", packed.substr(0, packed.size() - 6));
  ExpectBad("truncated");
  folder_.Write("train-images-idx3-ubyte.gz", Gzip("<!DOCTYPE html><html></html>", folder_));
  ExpectBad("it is a web page");
  std::string corrupt = packed;
  corrupt[packed.size() - 6] ^= 1;  // In the checksum.
  folder_.Write("train-images-idx3-ubyte.gz", corrupt);
  ExpectBad("it cannot be unpacked (incorrect data check)");
}

TEST_F(DatasetTest, ReportsAFolderInPlaceOfAFile) {
  Remove("train-images-idx3-ubyte");
  std::filesystem::create_directory(folder_.File("train-images-idx3-ubyte"));
  ExpectBad("; train-images-idx3-ubyte is a folder");
}

TEST_F(DatasetTest, PassesOverAFolderThatIsNamedAsTheFileBesideIt) {
  std::filesystem::create_directory(folder_.File("train-images.idx3-ubyte"));
  EXPECT_TRUE(Dataset::Load(folder_.path()).ok());
}

TEST_F(DatasetTest, ReportsAFifoAndDoesNotWaitForAWriter) {
  Remove("train-labels-idx1-ubyte");
  ASSERT_EQ(mkfifo(folder_.File("train-labels-idx1-ubyte").c_str(), 0600), 0);
  ExpectBad("train-labels-idx1-ubyte is a FIFO, not a file");
  EXPECT_FALSE(Dataset::ReadInfo(folder_.path()).ok());
}

TEST_F(DatasetTest, ReadsLabelsOfQmnist) {
  Remove("train-labels-idx1-ubyte");
  const std::string row_end(28, '\7');
  std::string labels = {0, 0, 0x0c, 2, 0, 0, 0, 4, 0, 0, 0, 8};
  for (const char label : {0, 1, 2, 1}) labels += std::string({0, 0, 0, label}) + row_end;
  folder_.Write("qmnist-train-labels-idx2-int.gz", Gzip(labels, folder_));
  const auto dataset = Dataset::Load(folder_.path());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT((*dataset)->training().labels, ElementsAre(0, 1, 2, 1));
  labels[12] = 1;
  folder_.Write("qmnist-train-labels-idx2-int.gz", Gzip(labels, folder_));
  ExpectBad("label 16777216 of image 0 is no class; 0 to 999 are possible");
}

TEST_F(DatasetTest, ReadsWideLabels) {
  Remove("train-labels-idx1-ubyte");
  const auto labels = [](const std::vector<uint16_t>& numbers) {
    std::string file = {0, 0, 0x0c, 2, 0, 0, 0, 4, 0, 0, 0, 1};
    for (const uint16_t n : numbers) {
      file += std::string({0, 0, static_cast<char>(n >> 8), static_cast<char>(n & 0xff)});
    }
    return file;
  };
  folder_.Write("train-labels-idx2-int", labels({0, 999, 256, 1}));
  const auto dataset = Dataset::Load(folder_.path());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT((*dataset)->training().labels, ElementsAre(0, 999, 256, 1));
  EXPECT_EQ((*dataset)->classes(), 1000);
  folder_.Write("train-labels-idx2-int", labels({0, 1000, 256, 1}));
  ExpectBad("count to 1000, which are 1001 classes; at most 1000 are possible");
}

TEST_F(DatasetTest, TurnsTheImagesOfEmnistUpright) {
  Remove("train-images-idx3-ubyte");
  Remove("t10k-images-idx3-ubyte");
  folder_.Write("EMNIST-letters-train-images-idx3-ubyte", Idx({4, 2, 2}, 16));
  folder_.Write("emnist-letters-test-images-idx3-ubyte", Idx({2, 2, 2}, 8, 100));
  const auto dataset = Dataset::Load(folder_.path());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT((*dataset)->Image(SplitName::kTraining, 1), ElementsAre(4, 6, 5, 7));
  EXPECT_THAT((*dataset)->Image(SplitName::kTest, 0), ElementsAre(100, 102, 101, 103));
  EXPECT_THAT((*dataset)->warnings(), ElementsAre(HasSubstr("turned upright")));
}

TEST_F(DatasetTest, WarnsOfTestImagesAmongTheTrainingImages) {
  folder_.Write("t10k-images-idx3-ubyte", Idx({2, 3, 2}, 12, 6));  // Training images 1 and 2.
  folder_.Write("t10k-labels-idx1-ubyte", IdxLabels("\1\2"));
  const auto dataset = Dataset::Load(folder_.path());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT((*dataset)->warnings(),
              ElementsAre("2 of 2 test images are among the training images as well, so test "
                          "accuracy is too high (test image 0 is training image 1)."));
}

TEST_F(DatasetTest, WarnsOfEqualImagesOfTwoClasses) {
  folder_.Write("train-images-idx3-ubyte", Idx({4, 3, 2}, 0) + std::string(24, 'x'));
  folder_.Write("class_names.json", R"(["cat", "dog", "hen"])");
  const auto dataset = Dataset::Load(folder_.path());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT((*dataset)->warnings(),
              ElementsAre("3 images equal an image of another class (training image 0 is 'cat', "
                          "training image 1 is 'dog')."));
}

TEST_F(DatasetTest, WarnsOfClassNamesThatAreEqualOrHoldNul) {
  folder_.Write("class_names.json", R"(["cat", "a\u0000b", "cat"])");
  const auto dataset = Dataset::Load(folder_.path());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT((*dataset)->warnings(),
              ElementsAre("2 classes are named 'cat'.", HasSubstr(R"('a\000b' holds a NUL)")));
}

TEST_F(DatasetTest, QuestionsImagesThatLookStoredAsHeightWidthChannels) {
  folder_.Write("train-images-idx4-ubyte", Idx({4, 8, 8, 3}, 4 * 192));
  folder_.Write("t10k-images-idx4-ubyte", Idx({2, 8, 8, 3}, 2 * 192, 9));
  Remove("train-images-idx3-ubyte");
  Remove("t10k-images-idx3-ubyte");
  const auto dataset = Dataset::Load(folder_.path());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  ASSERT_FALSE((*dataset)->warnings().empty());
  EXPECT_THAT((*dataset)->warnings()[0], HasSubstr("8 channels of 8x3 pixels"));
}

TEST_F(DatasetTest, HasNothingToSayOfASoundFolder) {
  EXPECT_THAT((*Dataset::Load(folder_.path()))->warnings(), ElementsAre());
}

TEST(FashionMnistTest, IsKnownByItsLabels) {
  const auto info = Dataset::ReadInfo(kFashionMnist);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->training_images, 60000);
  EXPECT_EQ(info->test_images, 10000);
  EXPECT_EQ(info->shape, (ImageShape{1, 28, 28}));
  EXPECT_THAT(info->class_names, ElementsAre("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                             "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"));
}

TEST(DatasetCreateTest, RefusesSizesAndLabelsThatDisagree) {
  const ImageShape shape = {1, 1, 2};
  using Bytes = std::vector<uint8_t>;
  using Labels = std::vector<ClassLabel>;
  const LabeledImages good = {Bytes{1, 2, 3, 4}, Labels{0, 1}};
  const LabeledImages short_of_one = {Bytes{1, 2, 3}, Labels{0, 1}};
  EXPECT_TRUE(Dataset::Create(shape, {"a", "b"}, good, good).ok());
  EXPECT_FALSE(Dataset::Create(shape, {"a"}, good, good).ok());
  EXPECT_FALSE(Dataset::Create(shape, {"a", "b"}, good, short_of_one).ok());
  EXPECT_FALSE(Dataset::Create(shape, {"a", "b"}, good, LabeledImages()).ok());
  // To evaluate models on.
  EXPECT_TRUE(Dataset::Create(shape, {"a", "b"}, LabeledImages(), good).ok());
}

absl::StatusOr<std::shared_ptr<const Dataset>> WithValidation(int64_t images) {
  return Dataset::Create({1, 1, 1}, {"a", "b"},
                         {std::vector<uint8_t>{1, 2, 3}, std::vector<ClassLabel>{0, 1, 0}},
                         {std::vector<uint8_t>{4}, std::vector<ClassLabel>{1}}, images);
}

TEST(ValidationImagesTest, LeaveAnImageToTrainWith) {
  EXPECT_EQ((*WithValidation(2))->validation_images(), 2);
  EXPECT_EQ((*WithValidation(2))->training().size(), 3);
  EXPECT_EQ(ReasonOf(WithValidation(3).status()), FailureReason::kBadData);
  EXPECT_EQ(ReasonOf(WithValidation(-1).status()), FailureReason::kBadData);
}

TEST(ValidationImagesTest, CountInTheChecksum) {
  EXPECT_NE((*WithValidation(1))->checksum(), (*WithValidation(2))->checksum());
  EXPECT_NE((*WithValidation(0))->checksum(), (*WithValidation(1))->checksum());
}

}  // namespace
}  // namespace atelier::models
