// What an import refuses, and with which words.
#include <cstddef>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/models/import_sources.h"

namespace atelier::models {
namespace {

class ImportRefusalsTest : public ImportTest {};

TEST_F(ImportRefusalsTest, BadLayoutsAreRefused) {
  ExpectRefused(Import({{"a/1.png", NumberedPng(1)}, {"a/2.png", NumberedPng(2)}}),
                "2 of 2 pictures are in no class' folder");
  ExpectRefused(Import({{"train/a/1.png", NumberedPng(1)}, {"test/a/2.png", NumberedPng(2)}}),
                "there is only one class, 'a'");
  ExpectRefused(Import({{"train/a/1.png", NumberedPng(1)},
                        {"train/b/1.png", NumberedPng(2)},
                        {"test/3.png", NumberedPng(3)}}),
                "1 of 3 pictures are in no class' folder (test/3.png)");
  ExpectRefused(Import({{"train/a/1.png", NumberedPng(1)}, {"extra/a/1.png", NumberedPng(2)}}),
                "'train' is a split, but 'extra/a/1.png' is beside it");
  ExpectRefused(Import({{"cat/1.png", NumberedPng(1)}, {"Cat/1.png", NumberedPng(2)}}),
                "the classes 'Cat' and 'cat' differ in nothing but upper and lower case");
  ExpectRefused(Import({{"test/a/1.png", NumberedPng(1)}, {"val/b/1.png", NumberedPng(2)}}),
                "no training images");
}

TEST_F(ImportRefusalsTest, AnEmptyFolderIsAClassWithoutPictures) {
  std::vector<SourceFile> files = TwoClasses();
  files.push_back({"data/train/mouse", "", AE_IFDIR});
  ExpectRefused(Import(files), "the folder 'data/train/mouse' is empty");
}

TEST_F(ImportRefusalsTest, AClassWhosePicturesAreAllDamagedIsRefused) {
  std::vector<SourceFile> files = TwoClasses();
  files.push_back({"data/train/mouse/1.png", "x"});
  ExpectRefused(Import(files), "the class 'mouse' has no images that can be read");
}

TEST_F(ImportRefusalsTest, LargePicturesNeedASize) {
  std::vector<SourceFile> files = TwoClasses();
  for (SourceFile& file : files) file.bytes = NumberedPng(1, 600, 2);
  ExpectRefused(Import(files), "most of its images are 600x2 pixels");
  options_.size = {32, 32};
  EXPECT_EQ(Imports(files).report.shape, (ImageShape{1, 32, 32}));
}

TEST_F(ImportRefusalsTest, SpaceIsLimited) {
  run_.max_bytes = 300;
  ExpectRefused(Import(TwoClasses()),
                "10 images of 6x5 with 1 channels take 310 bytes; at most 300");
}

TEST_F(ImportRefusalsTest, TruncatedArchivesAreRefused) {
  for (const ArchiveFormat format :
       {ArchiveFormat::kTar, ArchiveFormat::kTarGz, ArchiveFormat::kZip}) {
    std::string packed = PackArchive(format, TwoClasses());
    packed.resize(packed.size() / 2);
    ExpectRefused(Import("s.zip", packed), "cannot import s.zip: it is damaged or truncated");
  }
}

TEST_F(ImportRefusalsTest, ABombIsRefused) {
  std::vector<SourceFile> files = TwoClasses();
  files.push_back({"data/zeros.dat", std::string(size_t{400} << 20, '\0')});
  ExpectRefused(Import(files, ArchiveFormat::kTarGz), "it unpacks to more than");
}

TEST_F(ImportRefusalsTest, OtherFilesAreToldByTheirContent) {
  ExpectRefused(Import("data.tar.gz", "<!DOCTYPE html><html>"), "it is a web page");
  ExpectRefused(Import("data.zip", ""), "it is empty");
  ExpectRefused(Import("data.zip", NumberedPng(1)), "a single picture");
  ExpectRefused(Import({{"a.txt", "x"}}), "it holds no data set that can be read (a.txt)");
  ExpectRefused(Import({{"a.mat", "MATLAB 5.0 MAT-file"}}), "a.mat: it is a MATLAB file");
}

TEST_F(ImportRefusalsTest, PicturesOfOtherFormatsAreNamed) {
  const std::string bmp("BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", 18);
  std::vector<SourceFile> files = TwoClasses();
  files.push_back({"data/train/cat/x.bmp", bmp});
  const Imported imported = Imports(files);
  ASSERT_EQ(imported.report.unreadable_count, 1);
  EXPECT_EQ(imported.report.unreadable[0].name, "data/train/cat/x.bmp");
  EXPECT_THAT(imported.report.unreadable[0].reason, testing::HasSubstr("a BMP file"));
  for (SourceFile& file : files) file.bytes = bmp;
  ExpectRefused(Import(files),
                "11 of 11 images cannot be read: data/train/cat/0.png: the picture "
                "is a BMP file; PNG, JPEG and WebP files are read: convert it");
}

TEST_F(ImportRefusalsTest, StopsWhenAsked) {
  StopSignal stop;
  stop.Stop();
  run_.stop = &stop;
  ExpectRefused(Import(TwoClasses()), "asked to stop", FailureReason::kCancelled);
}

TEST_F(ImportRefusalsTest, OptionsOutOfRangeAreNamed) {
  options_.size = {0, 1000};
  options_.test_fraction = 0.9;
  options_.class_names = {"a", "a"};
  const auto refused = Import(TwoClasses());
  ExpectRefused(refused, "the height of the images is 0", FailureReason::kInvalidSpec);
  ExpectRefused(refused, "the width of the images is 1000", FailureReason::kInvalidSpec);
  ExpectRefused(refused, "the test fraction is 0.9", FailureReason::kInvalidSpec);
  ExpectRefused(refused, "'a' is given twice", FailureReason::kInvalidSpec);
}

}  // namespace
}  // namespace atelier::models
