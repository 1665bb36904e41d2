// A folder per class of pictures, in archives.
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/base/import_limits.h"
#include "tests/unit/models/encoded_pictures.h"
#include "tests/unit/models/import_sources.h"

namespace atelier::models {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class ImportFoldersTest : public ImportTest {};

TEST_F(ImportFoldersTest, ReadsSplitsAndClassesOfEveryKindOfArchive) {
  for (const ArchiveFormat format : {ArchiveFormat::kTar, ArchiveFormat::kTarGz,
                                     ArchiveFormat::kZip, ArchiveFormat::kStoredZip}) {
    const Imported imported = Imports(TwoClasses(), format);
    ASSERT_NE(imported.dataset, nullptr);
    EXPECT_EQ(imported.report.format, "a folder per class, PNG");
    EXPECT_THAT(imported.report.class_names, ElementsAre("cat", "dog"));
    EXPECT_EQ(imported.report.shape, (ImageShape{1, 6, 5}));
    EXPECT_THAT(imported.report.training.class_counts, ElementsAre(4, 4));
    EXPECT_THAT(imported.report.test.class_counts, ElementsAre(1, 1));
    EXPECT_EQ(imported.report.unreadable_count, 0);
    for (int i = 0; i < 8; ++i) {
      EXPECT_EQ(Pixels(imported, SplitName::kTraining, i), NumberedImage(6, 5, 1, i).pixels);
      EXPECT_EQ(imported.dataset->training().labels[static_cast<size_t>(i)], i % 2);
    }
    EXPECT_EQ(Pixels(imported, SplitName::kTest, 1), NumberedImage(6, 5, 1, 9).pixels);
  }
}

TEST_F(ImportFoldersTest, OrdersImagesByNumberInTheirNameWhateverTheirClass) {
  std::vector<SourceFile> files;
  for (const int i : {10, 9, 100, 2, 1}) {
    files.push_back({absl::StrCat(i % 2 == 0 ? "a" : "b", "/img", i, ".png"), NumberedPng(i)});
  }
  files.push_back({"b/x.png", NumberedPng(7)});
  options_.test_fraction = 0.17;
  const Imported imported = Imports(files);
  ASSERT_EQ(imported.report.test.images, 1);
  std::vector<std::vector<uint8_t>> expected;
  for (const int i : {1, 2, 9, 10, 100, 7}) expected.push_back(NumberedImage(6, 5, 1, i).pixels);
  std::erase(expected, Pixels(imported, SplitName::kTest, 0));
  for (int64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(Pixels(imported, SplitName::kTraining, i), expected[static_cast<size_t>(i)]);
  }
}

TEST_F(ImportFoldersTest, TheDataSetsOwnValidationSplitIsTheEndOfTheTrainingImages) {
  std::vector<SourceFile> files = TwoClasses();
  files.push_back({"data/val/dog/0.png", NumberedPng(20)});
  files.push_back({"data/val/cat/1.png", NumberedPng(21)});
  const Imported imported = Imports(files);
  ASSERT_NE(imported.dataset, nullptr);
  EXPECT_EQ(imported.report.training.images, 8);
  EXPECT_THAT(imported.report.validation.class_counts, ElementsAre(1, 1));
  EXPECT_EQ(imported.dataset->validation_images(), 2);
  EXPECT_EQ(imported.dataset->training().size(), 10);
  EXPECT_EQ(Pixels(imported, SplitName::kTraining, 8), NumberedImage(6, 5, 1, 20).pixels);
}

// Images of several batches, of which some cannot be read and all turn out grey or do not.
TEST_F(ImportFoldersTest, LargeDataSetsAreTheSameWhateverTheNumberOfThreads) {
  constexpr int kImages = 30;
  constexpr int64_t kSide = 400;
  for (const bool grey : {true, false}) {
    std::vector<SourceFile> files;
    std::vector<std::vector<uint8_t>> readable;
    for (int i = 0; i < kImages; ++i) {
      Image image = NumberedImage(kSide, kSide, 3, i);
      for (size_t p = 0; grey && p < image.pixels.size(); ++p) {
        image.pixels[p] = image.pixels[p / 3 * 3];
      }
      std::string png = *EncodePng(image);
      const bool damaged = i % 11 == 4;
      if (damaged) png.resize(png.size() / 2);
      files.push_back({absl::StrCat(i % 2 == 0 ? "cat/" : "dog/", i, ".png"), std::move(png)});
      std::vector<uint8_t> planar = ToPlanar(image);
      planar.resize(static_cast<size_t>(kSide * kSide * (grey ? 1 : 3)));
      if (!damaged) readable.push_back(std::move(planar));
    }
    options_.test_fraction = 0.2;
    run_.threads = 1;
    const Imported one = Imports(files);
    ASSERT_NE(one.dataset, nullptr);
    EXPECT_EQ(one.report.unreadable_count, 3);
    EXPECT_EQ(one.report.shape.channels, grey ? 1 : 3);
    std::vector<std::vector<uint8_t>> found;
    for (const SplitName split : {SplitName::kTraining, SplitName::kTest}) {
      for (int64_t i = 0; i < one.dataset->split(split).size(); ++i) {
        found.push_back(Pixels(one, split, i));
      }
    }
    EXPECT_THAT(found, testing::UnorderedElementsAreArray(readable));
    run_.threads = 4;
    const Imported four = Imports(files);
    EXPECT_EQ(four.report.checksum, one.report.checksum);
    EXPECT_EQ(four.report.warnings, one.report.warnings);
    EXPECT_EQ(four.report.mean, one.report.mean);
    EXPECT_EQ(four.report.standard_deviation, one.report.standard_deviation);
    EXPECT_EQ(four.report.training.class_counts, one.report.training.class_counts);
  }
}

TEST_F(ImportFoldersTest, SplitsMayLieBelowClasses) {
  std::vector<SourceFile> files;
  for (int i = 0; i < 4; ++i) {
    const std::string folder = i % 2 == 0 ? "cat" : "dog";
    files.push_back({absl::StrCat(folder, "/train/", i, ".png"), NumberedPng(i)});
    files.push_back({absl::StrCat(folder, "/test/", i, ".png"), NumberedPng(10 + i)});
  }
  const Imported imported = Imports(files);
  EXPECT_THAT(imported.report.class_names, ElementsAre("cat", "dog"));
  EXPECT_EQ(imported.report.training.images, 4);
  EXPECT_EQ(imported.report.test.images, 4);
}

TEST_F(ImportFoldersTest, HoldsAFifthOfEveryClassBackWhereThereAreNoTestImages) {
  std::vector<SourceFile> files;
  for (int i = 0; i < 50; ++i) {
    files.push_back({absl::StrCat(i < 40 ? "many/" : "few/", i, ".png"), NumberedPng(i)});
  }
  const Imported imported = Imports(files);
  EXPECT_THAT(imported.report.test.class_counts, ElementsAre(2, 8));
  EXPECT_THAT(imported.report.warnings, Contains(HasSubstr("has no test images; 20 %")));
}

TEST_F(ImportFoldersTest, TheSeedChoosesTheImagesHeldBack) {
  std::vector<SourceFile> files;
  for (int i = 0; i < 40; ++i) {
    files.push_back({absl::StrCat(i % 2 == 0 ? "a/" : "b/", i, ".png"), NumberedPng(i)});
  }
  options_.test_fraction = 0.25;
  options_.validation_fraction = 0.2;
  const Imported one = Imports(files);
  EXPECT_EQ(one.report.test.images, 10);
  EXPECT_EQ(one.report.validation.images, 6);
  EXPECT_EQ(Imports(files).report.checksum, one.report.checksum);
  options_.seed = 1;
  EXPECT_NE(Imports(files).report.checksum, one.report.checksum);
}

TEST_F(ImportFoldersTest, ThreadsDoNotChangeTheResult) {
  std::vector<SourceFile> files;
  for (int i = 0; i < 700; ++i) {
    files.push_back({absl::StrCat(i % 3 == 0 ? "a/" : "b/", i, ".png"), NumberedPng(i)});
  }
  files[5].bytes.resize(60);
  const Imported one = Imports(files);
  run_.threads = 4;
  const Imported four = Imports(files);
  EXPECT_EQ(one.report.checksum, four.report.checksum);
  EXPECT_EQ(one.report.unreadable_count, 1);
}

TEST_F(ImportFoldersTest, MostFrequentSizeIsTaken) {
  std::vector<SourceFile> files = TwoClasses();
  files[3].bytes = NumberedPng(3, 12, 10);
  const Imported imported = Imports(files);
  EXPECT_EQ(imported.report.shape, (ImageShape{1, 6, 5}));
  EXPECT_THAT(
      imported.report.warnings,
      Contains(HasSubstr("1 images are of other sizes than 6x5 and were scaled and padded")));
}

TEST_F(ImportFoldersTest, ImagesAreFittedAsAsked) {
  std::vector<SourceFile> files = TwoClasses();
  // White to the left of black, 4 × 8.
  Image wide{4, 8, 1, {}};
  for (int i = 0; i < 32; ++i) wide.pixels.push_back(i % 8 < 4 ? 255 : 0);
  files[0].bytes = *EncodePng(wide);
  options_.size = {4, 4};
  options_.fit = ImportOptions::Fit::kStretch;
  const std::vector<uint8_t> halves = {255, 255, 0, 0, 255, 255, 0, 0,
                                       255, 255, 0, 0, 255, 255, 0, 0};
  EXPECT_EQ(Pixels(Imports(files), SplitName::kTraining, 0), halves);
  options_.fit = ImportOptions::Fit::kCrop;
  EXPECT_EQ(Pixels(Imports(files), SplitName::kTraining, 0), halves);
  options_.fit = ImportOptions::Fit::kPad;
  EXPECT_NE(Pixels(Imports(files), SplitName::kTraining, 0), halves);
  options_.fit = ImportOptions::Fit::kStretch;
  options_.invert = true;
  EXPECT_EQ(Pixels(Imports(files), SplitName::kTraining, 0)[0], 0);
}

TEST_F(ImportFoldersTest, GreyPicturesSavedInColourAreGrey) {
  std::vector<SourceFile> files = TwoClasses();
  for (int i = 0; i < 8; ++i) {
    files[static_cast<size_t>(i)].bytes =
        *EncodePng(*ConvertChannels(NumberedImage(6, 5, 1, i), 3));
  }
  const Imported grey = Imports(files);
  EXPECT_EQ(grey.report.shape.channels, 1);
  EXPECT_EQ(grey.report.checksum, Imports(TwoClasses()).report.checksum);
  options_.color = ImportOptions::Color::kRgb;
  EXPECT_EQ(Imports(files).report.shape.channels, 3);
}

TEST_F(ImportFoldersTest, OneColouredPictureMakesTheDataSetColoured) {
  std::vector<SourceFile> files = TwoClasses();
  files[2].bytes = NumberedPng(2, 6, 5, 3);
  EXPECT_EQ(Imports(files).report.shape.channels, 3);
  options_.color = ImportOptions::Color::kGrey;
  EXPECT_EQ(Imports(files).report.shape.channels, 1);
}

TEST_F(ImportFoldersTest, JpegsAreTurnedUpright) {
  std::vector<SourceFile> files = TwoClasses();
  options_.test_fraction = 0;
  std::string jpeg = EncodeJpeg(Gradient(8, 16, 1));
  const std::string exif = absl::StrCat(std::string("Exif\0\0", 6), Exif(6));
  const size_t length = exif.size() + 2;
  jpeg.insert(
      2, std::string{'\xff', '\xe1', static_cast<char>(length >> 8), static_cast<char>(length)} +
             exif);
  for (SourceFile& file : files) file.bytes = jpeg;
  const Imported imported = Imports(files);
  EXPECT_EQ(imported.report.format, "a folder per class, JPEG");
  EXPECT_EQ(imported.report.shape, (ImageShape{1, 16, 8}));
}

TEST_F(ImportFoldersTest, StatisticsAreOfTheTrainingImages) {
  std::vector<SourceFile> files = TwoClasses();
  const Image black{6, 5, 1, std::vector<uint8_t>(30, 0)};
  const Image white{6, 5, 1, std::vector<uint8_t>(30, 255)};
  for (size_t i = 0; i < 8; ++i) files[i].bytes = *EncodePng(i < 6 ? black : white);
  const ImportReport report = Imports(files).report;
  EXPECT_THAT(report.mean, ElementsAre(testing::DoubleNear(0.25, 1e-9)));
  EXPECT_THAT(report.standard_deviation, ElementsAre(testing::DoubleNear(0.4330127, 1e-6)));
}

TEST_F(ImportFoldersTest, AllImagesCanBecomeTheTestSplit) {
  options_.test_fraction = kAllForTest;
  const Imported imported = Imports(TwoClasses());
  EXPECT_EQ(imported.report.training.images, 0);
  EXPECT_EQ(imported.report.test.images, imported.dataset->test().size());
  EXPECT_EQ(imported.dataset->training().size(), 0);
  EXPECT_GT(imported.dataset->test().size(), 4);
  EXPECT_TRUE(imported.report.mean.empty());
  for (const std::string& warning : imported.report.warnings) {
    EXPECT_EQ(warning.find("no training images"), std::string::npos) << warning;
  }
  options_.validation_fraction = 0.1;
  ExpectRefused(Import(TwoClasses()), "a validation fraction above 0 is not possible",
                FailureReason::kInvalidSpec);
}

TEST_F(ImportFoldersTest, ClassNamesCanBePutInOrder) {
  options_.class_names = {"dog", "cat"};
  const Imported imported = Imports(TwoClasses());
  EXPECT_THAT(imported.report.class_names, ElementsAre("dog", "cat"));
  EXPECT_EQ(imported.dataset->training().labels[0], 1);
  options_.class_names = {"dog", "mouse"};
  ExpectRefused(Import(TwoClasses()), "dog, mouse are not those of the source, which are cat, dog",
                FailureReason::kInvalidSpec);
}

TEST_F(ImportFoldersTest, UnreadablePicturesAreNamedAndLeftOut) {
  std::vector<SourceFile> files = TwoClasses();
  files.resize(8);
  files[3].bytes = "<html>";
  for (int i = 0; i < 2; ++i) {
    files.push_back(
        {absl::StrCat("data/test/", i == 0 ? "cat" : "dog", "/t.png"), NumberedPng(30 + i)});
  }
  const Imported imported = Imports(files);
  ASSERT_EQ(imported.report.unreadable_count, 1);
  EXPECT_EQ(imported.report.unreadable[0].name, "data/train/dog/3.png");
  EXPECT_THAT(imported.report.unreadable[0].reason, HasSubstr("web page"));
  EXPECT_EQ(imported.report.training.images, 7);
  EXPECT_EQ(Pixels(imported, SplitName::kTraining, 3), NumberedImage(6, 5, 1, 4).pixels);
  EXPECT_EQ(Pixels(imported, SplitName::kTest, 1), NumberedImage(6, 5, 1, 31).pixels);
}

TEST_F(ImportFoldersTest, APictureWhosePixelsAreDamagedLeavesNoGap) {
  std::vector<SourceFile> files = TwoClasses();
  // Within the compressed pixels, so that only decoding notices.
  files[4].bytes[files[4].bytes.size() - 25] ^= 0x55;
  const Imported imported = Imports(files);
  ASSERT_EQ(imported.report.unreadable_count, 1);
  EXPECT_EQ(imported.report.unreadable[0].name, "data/train/cat/4.png");
  EXPECT_EQ(Pixels(imported, SplitName::kTraining, 4), NumberedImage(6, 5, 1, 5).pixels);
  EXPECT_EQ(Pixels(imported, SplitName::kTest, 0), NumberedImage(6, 5, 1, 8).pixels);
}

TEST_F(ImportFoldersTest, TooManyUnreadablePicturesEndTheImport) {
  std::vector<SourceFile> files = TwoClasses();
  for (size_t i = 0; i < 3; ++i) files[i].bytes = "no picture";
  ExpectRefused(Import(files), "3 of 10 images cannot be read: data/train/cat/0.png: ");
}

TEST_F(ImportFoldersTest, LinksAndPathsThatLeadOutAreUnreadable) {
  std::vector<SourceFile> files = TwoClasses();
  for (int i = 0; i < 30; ++i) {
    files.push_back({absl::StrCat("data/train/cat/more", i, ".png"), NumberedPng(100 + i)});
  }
  files.push_back({"data/train/cat/link.png", "/etc/passwd", AE_IFLNK});
  files.push_back({"data/train/../../x.png", NumberedPng(50)});
  files.push_back({"/data/train/cat/absolute.png", NumberedPng(51)});
  const Imported imported = Imports(files);
  ASSERT_EQ(imported.report.unreadable_count, 3);
  EXPECT_THAT(imported.report.unreadable[0].reason, HasSubstr("link"));
  EXPECT_THAT(imported.report.unreadable[1].reason, HasSubstr("leads out of the archive"));
  EXPECT_THAT(imported.report.unreadable[2].reason, HasSubstr("absolute"));
  EXPECT_EQ(imported.report.training.images, 38);
}

TEST_F(ImportFoldersTest, HiddenFilesAreLeftOutInSilence) {
  std::vector<SourceFile> files = TwoClasses();
  files.push_back({"data/.DS_Store", "x"});
  files.push_back({"__MACOSX/data/train/cat/._0.png", "x"});
  const Imported imported = Imports(files);
  EXPECT_EQ(imported.report.unreadable_count, 0);
  EXPECT_THAT(imported.report.warnings, Not(Contains(HasSubstr("left out"))));
}

TEST_F(ImportFoldersTest, OtherFilesAreNamed) {
  std::vector<SourceFile> files = TwoClasses();
  files.push_back({"data/README.txt", "x"});
  EXPECT_THAT(Imports(files).report.warnings,
              Contains("1 files are no pictures and were left out (data/README.txt)."));
}

TEST_F(ImportFoldersTest, TwoFilesOfOnePathAreOne) {
  std::vector<SourceFile> files = TwoClasses();
  files.push_back(files[0]);
  const Imported imported = Imports(files);
  EXPECT_EQ(imported.report.unreadable_count, 1);
  EXPECT_EQ(imported.report.training.images, 8);
}

TEST_F(ImportFoldersTest, NamesOfOtherCharactersAreUnderstood) {
  std::vector<SourceFile> files = TwoClasses();
  for (SourceFile& file : files) {
    const size_t at = file.path.find("cat");
    if (at != std::string::npos) file.path.replace(at, 3, "Kätzchen");
  }
  for (const ArchiveFormat format : {ArchiveFormat::kTar, ArchiveFormat::kZip}) {
    EXPECT_THAT(Imports(files, format).report.class_names, ElementsAre("Kätzchen", "dog"));
  }
}

TEST_F(ImportFoldersTest, ReportsProgressInImages) {
  std::vector<int64_t> done;
  run_.progress = [&](const ImportProgress& progress) {
    EXPECT_EQ(progress.total, 10);
    done.push_back(progress.done);
  };
  Imports(TwoClasses());
  EXPECT_EQ(done.back(), 10);
}

TEST_F(ImportFoldersTest, WarnsOfImagesThatAreInBothSplits) {
  std::vector<SourceFile> files = TwoClasses();
  files[8].bytes = files[0].bytes;
  EXPECT_THAT(Imports(files).report.warnings,
              Contains(HasSubstr("1 of 2 test images are among the training images")));
}

}  // namespace
}  // namespace atelier::models
