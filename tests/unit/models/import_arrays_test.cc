// NumPy arrays, IDX files and CIFAR's binary files.
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/files/archive_reader.h"
#include "models/import/array_source.h"
#include "tests/unit/models/import_sources.h"

namespace atelier::models {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A .npy file of those bytes.
std::string Npy(const std::string& type, const std::vector<int64_t>& shape,
                const std::string& bytes, bool fortran = false, int version = 1) {
  std::string header = absl::StrCat(
      "{'descr': '", type, "', 'fortran_order': ", fortran ? "True" : "False", ", 'shape': (",
      absl::StrJoin(shape, ", "), shape.size() == 1 ? ",)" : ")", ", }");
  header.resize(118, ' ');
  header.back() = '\n';
  std::string file = std::string("\x93NUMPY", 6) + static_cast<char>(version) + '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) {
    file += static_cast<char>(header.size() >> (8 * i));
  }
  return file + header + bytes;
}

template <typename Number>
std::string BytesOf(const std::vector<Number>& numbers) {
  return std::string(reinterpret_cast<const char*>(numbers.data()),
                     numbers.size() * sizeof(Number));
}

std::string CountingBytes(size_t count, int first = 0) {
  std::string bytes;
  for (size_t i = 0; i < count; ++i) bytes += static_cast<char>(first + static_cast<int>(i));
  return bytes;
}

std::string Labels(const std::string& labels) {
  return Npy("|u1", {static_cast<int64_t>(labels.size())}, labels);
}

const std::string kFourLabels("\0\1\0\1", 4);
const std::string kTwoLabels("\1\0", 2);

// 4 training and 2 test images of 2x3, whose pixels count up.
std::vector<SourceFile> SmallArrays() {
  return {{"x_train.npy", Npy("|u1", {4, 2, 3}, CountingBytes(24))},
          {"y_train.npy", Labels(kFourLabels)},
          {"x_test.npy", Npy("|u1", {2, 2, 3}, CountingBytes(12, 100))},
          {"y_test.npy", Labels(kTwoLabels)}};
}

class ImportArraysTest : public ImportTest {};

// Two images of each class, in the order of the classes; every pixel has the class' lower byte.
std::vector<SourceFile> ManyClasses(int classes) {
  std::vector<uint16_t> labels;
  std::string pixels;
  for (int i = 0; i < 2 * classes; ++i) {
    labels.push_back(static_cast<uint16_t>(i / 2));
    pixels += std::string(12, static_cast<char>(i / 2));
  }
  const std::vector<int64_t> shape = {2 * classes, 2, 2, 3};
  return {{"images.npy", Npy("|u1", shape, pixels)},
          {"labels.npy", Npy("<u2", {2 * classes}, BytesOf(labels))}};
}

TEST_F(ImportArraysTest, AThousandClassesAreRead) {
  // Grey pixels in three channels, so that packing moves images and labels.
  const Imported imported = Imports(ManyClasses(1000));
  const Dataset& dataset = *imported.dataset;
  EXPECT_EQ(dataset.shape(), (ImageShape{1, 2, 2}));
  EXPECT_EQ(dataset.classes(), 1000);
  EXPECT_EQ(
      imported.report.training.class_counts.at(999) + imported.report.test.class_counts.at(999), 2);
  for (const SplitName split : {SplitName::kTraining, SplitName::kTest}) {
    for (int64_t i = 0; i < dataset.split(split).size(); ++i) {
      EXPECT_EQ(dataset.Image(split, i)[0], dataset.split(split).labels[i] % 256) << i;
    }
  }
  EXPECT_EQ(dataset.training().labels.end()[-1], 999);
}

TEST_F(ImportArraysTest, MoreThanAThousandClassesAreRefused) {
  ExpectRefused(Import(ManyClasses(1001)), "label 1000 of image 2001 is too large; 0 to 999");
}

TEST_F(ImportArraysTest, ReadsNpzFiles) {
  for (const ArchiveFormat format : {ArchiveFormat::kZip, ArchiveFormat::kStoredZip}) {
    const Imported imported = Imports(SmallArrays(), format);
    ASSERT_NE(imported.dataset, nullptr);
    EXPECT_EQ(imported.report.format, "NumPy arrays, uint8");
    EXPECT_EQ(imported.report.shape, (ImageShape{1, 2, 3}));
    EXPECT_THAT(imported.report.class_names, ElementsAre("0", "1"));
    EXPECT_THAT(Pixels(imported, SplitName::kTraining, 1), ElementsAre(6, 7, 8, 9, 10, 11));
    EXPECT_THAT(Pixels(imported, SplitName::kTest, 0), ElementsAre(100, 101, 102, 103, 104, 105));
    EXPECT_THAT(imported.dataset->test().labels, ElementsAre(1, 0));
  }
}

TEST_F(ImportArraysTest, ReadsTheNamesOfMedMnist) {
  const Imported imported =
      Imports({{"train_images.npy", Npy("|u1", {4, 1, 2}, CountingBytes(8))},
               {"train_labels.npy", Npy("|u1", {4, 1}, kFourLabels)},
               {"val_images.npy", Npy("|u1", {2, 1, 2}, CountingBytes(4, 50))},
               {"val_labels.npy", Npy("|u1", {2, 1}, kTwoLabels)},
               {"test_images.npy", Npy("|u1", {2, 1, 2}, CountingBytes(4, 70))},
               {"test_labels.npy", Npy("|u1", {2, 1}, kTwoLabels)}});
  EXPECT_EQ(imported.report.training.images, 4);
  EXPECT_EQ(imported.report.validation.images, 2);
  EXPECT_EQ(imported.dataset->validation_images(), 2);
  EXPECT_THAT(Pixels(imported, SplitName::kTraining, 4), ElementsAre(50, 51));
}

TEST_F(ImportArraysTest, ReadsImagesAndLabelsWithoutSplits) {
  for (const auto& [images, labels] :
       std::vector<std::pair<std::string, std::string>>{{"images.npy", "labels.npy"},
                                                        {"X.npy", "y.npy"},
                                                        {"data.npy", "targets.npy"},
                                                        {"arr_0.npy", "arr_1.npy"}}) {
    options_.test_fraction = 0.25;
    const Imported imported = Imports(
        {{images, Npy("|u1", {4, 2, 3}, CountingBytes(24))}, {labels, Labels(kFourLabels)}});
    EXPECT_EQ(imported.report.training.images, 3) << images;
    EXPECT_EQ(imported.report.test.images, 1) << images;
  }
}

TEST_F(ImportArraysTest, TellsChannelsByTheSizes) {
  std::vector<SourceFile> files = SmallArrays();
  // Of a pixel side by side.
  files[0].bytes = Npy("|u1", {4, 2, 1, 3}, CountingBytes(24));
  files[2].bytes = Npy("|u1", {2, 2, 1, 3}, CountingBytes(12, 100));
  options_.axes = ImportOptions::Axes::kNhwc;
  const Imported last = Imports(files);
  EXPECT_EQ(last.report.shape, (ImageShape{3, 2, 1}));
  EXPECT_THAT(Pixels(last, SplitName::kTraining, 0), ElementsAre(0, 3, 1, 4, 2, 5));
  options_.axes = ImportOptions::Axes::kAuto;
  files[0].bytes = Npy("|u1", {4, 3, 2, 1}, CountingBytes(24));
  files[2].bytes = Npy("|u1", {2, 3, 2, 1}, CountingBytes(12, 100));
  ExpectRefused(Import(files), "say which by --axes", FailureReason::kInvalidSpec);
  options_.axes = ImportOptions::Axes::kNchw;
  const Imported first = Imports(files);
  EXPECT_EQ(first.report.shape, (ImageShape{3, 2, 1}));
  EXPECT_THAT(Pixels(first, SplitName::kTraining, 0), ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST_F(ImportArraysTest, ReadsFortransOrder) {
  // The first dimension, then the second, runs fastest.
  std::string bytes(24, '\0');
  for (int n = 0; n < 4; ++n) {
    for (int y = 0; y < 2; ++y) {
      for (int x = 0; x < 3; ++x) {
        bytes[static_cast<size_t>(n + 4 * (y + 2 * x))] = static_cast<char>(6 * n + 3 * y + x);
      }
    }
  }
  std::vector<SourceFile> files = SmallArrays();
  files[0].bytes = Npy("|u1", {4, 2, 3}, bytes, true);
  EXPECT_EQ(Imports(files).report.checksum, Imports(SmallArrays()).report.checksum);
}

TEST_F(ImportArraysTest, AnUnpackedArrayThatCannotBeReadIsNoBadData) {
  // More than what is read of it at once.
  constexpr int64_t kImages = 600'000;
  const std::string labels(kImages, '\0');
  folder_.Write("a.tar", PackArchive(ArchiveFormat::kTar,
                                     {{"x_train.npy", Npy("<f8", {kImages, 2, 2},
                                                          std::string(32 * kImages, '\0'), true)},
                                      {"y_train.npy", Labels(labels)}}));
  const auto open = [this] {
    return ArchiveReader::Open(folder_.File("a.tar"), ArchiveReader::Packing::kTar, "");
  };
  UnreadableFiles unreadable;
  const auto listing = Listing::Read(open().value().get(), nullptr, &unreadable);
  ASSERT_TRUE(listing.ok()) << listing.status();
  const std::string scratch = folder_.File("scratch");
  const auto source =
      ArraySource::Open(*listing, open, {.scratch = scratch, .max_bytes = 32 * kImages}, nullptr);
  ASSERT_TRUE(source.ok()) << source.status();
  SourceImage image;
  absl::StatusOr<bool> more = (*source)->Next(&image);
  ASSERT_TRUE(more.ok()) << more.status();
  std::filesystem::resize_file(scratch, 0);
  while (more.ok() && *more) more = (*source)->Next(&image);
  ASSERT_FALSE(more.ok());
  EXPECT_EQ(ReasonOf(more.status()), FailureReason::kInternal) << more.status();
  EXPECT_THAT(std::string(more.status().message()), HasSubstr("x_train.npy: "));
}

TEST_F(ImportArraysTest, WhatIsUnpackedOfFortransOrderIsLimited) {
  std::vector<SourceFile> files = SmallArrays();
  files[0].bytes = Npy("<f4", {4, 2, 3}, BytesOf(std::vector<float>(24, 0.5F)), true);
  run_.max_bytes = 60;
  ExpectRefused(Import(files), "Fortran's order takes 96 bytes");
}

TEST_F(ImportArraysTest, ReadsEveryKindOfNumber) {
  std::vector<SourceFile> files = SmallArrays();
  const std::string expected = Imports(files).report.checksum;
  std::vector<int16_t> wide;
  std::vector<float> floats;
  std::vector<double> large;
  std::string big_endian;
  for (int i = 0; i < 24; ++i) {
    wide.push_back(static_cast<int16_t>(i));
    floats.push_back(static_cast<float>(i));
    large.push_back(i);
    big_endian += std::string{0, 0, 0, static_cast<char>(i)};
  }
  files[0].bytes = Npy("<i2", {4, 2, 3}, BytesOf(wide));
  EXPECT_EQ(Imports(files).report.checksum, expected);
  files[0].bytes = Npy("<f4", {4, 2, 3}, BytesOf(floats), false, 2);
  EXPECT_EQ(Imports(files).report.checksum, expected);
  files[0].bytes = Npy("<f8", {4, 2, 3}, BytesOf(large), false, 3);
  EXPECT_EQ(Imports(files).report.checksum, expected);
  files[0].bytes = Npy(">i4", {4, 2, 3}, big_endian);
  EXPECT_EQ(Imports(files).report.checksum, expected);
}

TEST_F(ImportArraysTest, FloatsUpToOneAreScaled) {
  const std::vector<uint16_t> halves = {0x0000, 0x3c00, 0x3800, 0x3400};  // 0, 1, 1/2, 1/4
  options_.test_fraction = 0.5;
  Imported imported =
      Imports({{"x.npy", Npy("<f2", {4, 1, 1}, BytesOf(halves))}, {"y.npy", Labels(kFourLabels)}});
  std::vector<uint8_t> pixels;
  for (const SplitName split : {SplitName::kTraining, SplitName::kTest}) {
    for (int64_t i = 0; i < 2; ++i) pixels.push_back(Pixels(imported, split, i)[0]);
  }
  EXPECT_THAT(pixels, testing::UnorderedElementsAre(0, 255, 128, 64));
}

TEST_F(ImportArraysTest, BooleansAreBlackAndWhite) {
  std::vector<SourceFile> files = SmallArrays();
  files[0].bytes = Npy("|b1", {4, 2, 3}, std::string(12, '\0') + std::string(12, '\1'));
  EXPECT_THAT(Pixels(Imports(files), SplitName::kTraining, 3),
              ElementsAre(255, 255, 255, 255, 255, 255));
}

TEST_F(ImportArraysTest, NumbersOutOfRangeAreRefused) {
  std::vector<SourceFile> files = SmallArrays();
  std::vector<float> floats(24, 0.5F);
  floats[3] = -1;
  files[0].bytes = Npy("<f4", {4, 2, 3}, BytesOf(floats));
  ExpectRefused(Import(files), "numbers from -1 to 0.5; pixels are 0 to 255, or 0 to 1");
  floats[3] = std::nanf("");
  files[0].bytes = Npy("<f4", {4, 2, 3}, BytesOf(floats));
  ExpectRefused(Import(files), "NaN");
  files[0].bytes = Npy("<u2", {4, 2, 3}, BytesOf(std::vector<uint16_t>(24, 4095)));
  ExpectRefused(Import(files), "numbers from 4095 to 4095");
}

TEST_F(ImportArraysTest, LabelsThatAreNoClassesAreRefused) {
  std::vector<SourceFile> files = SmallArrays();
  files[1].bytes = Npy("<i4", {4}, BytesOf(std::vector<int32_t>{0, 1, -1, 0}));
  ExpectRefused(Import(files), "label -1 of image 2 in y_train.npy is no class");
  files[1].bytes = Npy("<f4", {4}, BytesOf(std::vector<float>{0, 1, 0.5F, 0}));
  ExpectRefused(Import(files), "label 0.5 of image 2");
  files[1].bytes = Npy("<i4", {4}, BytesOf(std::vector<int32_t>{0, 1, 1000, 0}));
  ExpectRefused(Import(files), "label 1000 of image 2 is too large; 0 to 999 are possible");
  files[1].bytes = Npy("|u1", {4, 2}, CountingBytes(8));
  ExpectRefused(Import(files), "of one-hot rows take the argmax");
  files[1].bytes = Labels(std::string("\0\0\0\0", 4));
  files[3].bytes = Labels(std::string("\0\0", 2));
  ExpectRefused(Import(files), "there is only one class, '0'");
}

TEST_F(ImportArraysTest, LabelsMayCountFromOne) {
  std::vector<SourceFile> files = SmallArrays();
  files[1].bytes = Labels("\1\2\1\2");
  files[3].bytes = Labels("\2\1");
  const Imported imported = Imports(files);
  EXPECT_THAT(imported.report.class_names, ElementsAre("1", "2"));
  EXPECT_THAT(imported.dataset->test().labels, ElementsAre(1, 0));
}

TEST_F(ImportArraysTest, NumbersGetTheNamesAskedFor) {
  options_.class_names = {"cat", "dog", "mouse"};
  const Imported imported = Imports(SmallArrays());
  EXPECT_THAT(imported.report.class_names, ElementsAre("cat", "dog", "mouse"));
  EXPECT_THAT(imported.report.warnings,
              Contains(HasSubstr("1 classes have no training images ('mouse')")));
}

TEST_F(ImportArraysTest, ArraysThatDoNotFitEachOtherAreRefused) {
  std::vector<SourceFile> files = SmallArrays();
  files[1].bytes = Labels(kTwoLabels);
  ExpectRefused(Import(files), "x_train.npy has 4 images but y_train.npy has 2 labels");
  files = SmallArrays();
  files[2].bytes = Npy("|u1", {2, 3, 2}, CountingBytes(12));
  ExpectRefused(Import(files), "x_train.npy is 4x2x3 but x_test.npy is 2x3x2");
  files = SmallArrays();
  files.erase(files.begin() + 1);
  ExpectRefused(Import(files), "x_train.npy has no labels beside it");
  files = SmallArrays();
  files.push_back({"train_images.npy", files[0].bytes});
  ExpectRefused(Import(files), "x_train.npy and train_images.npy mean the same");
  ExpectRefused(Import({{"weights.npy", files[0].bytes}}), "its arrays (weights.npy) have none");
  files = SmallArrays();
  files[0].bytes = Npy("|u1", {4, 6}, CountingBytes(24));
  ExpectRefused(Import(files), "x_train.npy: images of 4x6 are not N x H x W");
}

TEST_F(ImportArraysTest, TheFirstOfUnknownArraysAreNamed) {
  std::vector<SourceFile> files = SmallArrays();
  files.push_back({"caf\xe9.npy", files[0].bytes});
  files.push_back({"weights.npy", files[0].bytes});
  files.push_back({"masks.npy", files[0].bytes});
  EXPECT_THAT(Imports(files).report.warnings,
              Contains("Arrays that were not used: caf\\351.npy, weights.npy, masks.npy."));
  files.push_back({"boxes.npy", files[0].bytes});
  files.push_back({"depths.npy", files[0].bytes});
  EXPECT_THAT(
      Imports(files).report.warnings,
      Contains("Arrays that were not used: caf\\351.npy, weights.npy, masks.npy, and others."));
}

TEST_F(ImportArraysTest, DamagedArraysAreRefused) {
  std::vector<SourceFile> files = SmallArrays();
  files[0].bytes.resize(files[0].bytes.size() - 3);
  ExpectRefused(Import(files), "x_train.npy: its array of 4x2x3 is truncated");
  files[0].bytes = Npy("|O", {4, 2, 3}, "");
  ExpectRefused(Import(files), "x_train.npy: its array is of Python objects");
  files[0].bytes = Npy("<c8", {4, 2, 3}, "");
  ExpectRefused(Import(files), "of the type '<c8'");
  files[0].bytes = Npy("|u1", {4, 2, 3}, "", false, 9);
  ExpectRefused(Import(files), "of version 9");
  files[0].bytes = std::string("\x93NUMPY\1\0\xff", 9);
  ExpectRefused(Import(files), "truncated within its header");
}

TEST_F(ImportArraysTest, APictureBesideArraysIsAnExample) {
  std::vector<SourceFile> files = SmallArrays();
  files.push_back({"example.png", NumberedPng(1)});
  EXPECT_EQ(Imports(files).report.format, "NumPy arrays, uint8");
}

TEST_F(ImportArraysTest, ASingleArrayHasNoLabels) {
  ExpectRefused(Import("images.npy", SmallArrays()[0].bytes), "has no labels beside it");
}

// --- IDX -----------------------------------------------------------------------------------------

std::string Idx(const std::vector<uint32_t>& dimensions, const std::string& bytes) {
  std::string file = {0, 0, 8, static_cast<char>(dimensions.size())};
  for (const uint32_t d : dimensions) {
    for (int shift = 24; shift >= 0; shift -= 8) file += static_cast<char>(d >> shift);
  }
  return file + bytes;
}

std::vector<SourceFile> SmallIdx(const std::string& prefix = "") {
  return {{"mnist/" + prefix + "train-images-idx3-ubyte", Idx({4, 2, 2}, CountingBytes(16))},
          {"mnist/" + prefix + "train-labels-idx1-ubyte", Idx({4}, kFourLabels)},
          {"mnist/" + prefix + "t10k-images-idx3-ubyte", Idx({2, 2, 2}, CountingBytes(8, 50))},
          {"mnist/" + prefix + "t10k-labels-idx1-ubyte", Idx({2}, kTwoLabels)}};
}

TEST_F(ImportArraysTest, ReadsTheFourIdxFiles) {
  const Imported imported = Imports(SmallIdx());
  EXPECT_EQ(imported.report.format, "IDX files");
  EXPECT_THAT(Pixels(imported, SplitName::kTraining, 1), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(imported.dataset->test().labels, ElementsAre(1, 0));
  // As the server reads them from a folder.
  for (const SourceFile& file : SmallIdx()) folder_.Write(file.path.substr(6), file.bytes);
  EXPECT_EQ(imported.report.checksum, (*Dataset::Load(folder_.path()))->checksum());
}

TEST_F(ImportArraysTest, TurnsEmnistUpright) {
  const Imported imported = Imports(SmallIdx("emnist-"));
  EXPECT_THAT(Pixels(imported, SplitName::kTraining, 1), ElementsAre(4, 6, 5, 7));
  EXPECT_THAT(imported.report.warnings, Contains(HasSubstr("turned upright")));
}

TEST_F(ImportArraysTest, MissingIdxFilesAreNamedWithoutPathsOfThisMachine) {
  std::vector<SourceFile> files = SmallIdx();
  files.pop_back();
  const auto refused = Import(files);
  ExpectRefused(refused, "it has no file *t10k*labels");
  EXPECT_THAT(std::string(refused.status().message()), testing::Not(HasSubstr(folder_.path())));
  files = SmallIdx();
  files[0].bytes.resize(20);
  ExpectRefused(Import(files), "cannot read train-images-idx3-ubyte: it is truncated");
}

// --- CIFAR ---------------------------------------------------------------------------------------

std::string CifarRecord(const std::string& labels, int seed) {
  const std::vector<uint8_t> pixels = NumberedImage(32, 32, 3, seed).pixels;
  return labels + std::string(pixels.begin(), pixels.end());
}

TEST_F(ImportArraysTest, ReadsCifar10) {
  const Imported imported =
      Imports({{"c/data_batch_2.bin", CifarRecord("\1", 3) + CifarRecord(std::string(1, '\0'), 4)},
               {"c/batches.meta.txt", "airplane\nautomobile\n\n"},
               {"c/data_batch_1.bin", CifarRecord("\1", 1) + CifarRecord(std::string(1, '\0'), 2)},
               {"c/test_batch.bin", CifarRecord("\1", 5)}},
              ArchiveFormat::kTarGz);
  EXPECT_EQ(imported.report.format, "CIFAR-10, binary");
  EXPECT_THAT(imported.report.class_names, ElementsAre("airplane", "automobile"));
  EXPECT_THAT(imported.dataset->training().labels, ElementsAre(1, 0, 1, 0));
  EXPECT_EQ(Pixels(imported, SplitName::kTraining, 2), NumberedImage(32, 32, 3, 3).pixels);
  EXPECT_EQ(Pixels(imported, SplitName::kTest, 0), NumberedImage(32, 32, 3, 5).pixels);
}

TEST_F(ImportArraysTest, ReadsTheFineLabelsOfCifar100) {
  const Imported imported =
      Imports({{"c/train.bin", CifarRecord("\5\1", 1) + CifarRecord(std::string("\5\0", 2), 2)},
               {"c/test.bin", CifarRecord("\5\1", 3)},
               {"c/fine_label_names.txt", "apple\naquarium_fish\n"}});
  EXPECT_EQ(imported.report.format, "CIFAR-100, binary");
  EXPECT_THAT(imported.dataset->training().labels, ElementsAre(1, 0));
  EXPECT_THAT(imported.report.class_names, ElementsAre("apple", "aquarium_fish"));
}

TEST_F(ImportArraysTest, DamagedCifarIsRefused) {
  std::string batch = CifarRecord("\1", 1) + CifarRecord("\7", 2);
  ExpectRefused(Import({{"data_batch_1.bin", batch}, {"batches.meta.txt", "a\nb\n"}}),
                "label 7 has no name; there are 2 names");
  batch.resize(4000);
  ExpectRefused(Import({{"data_batch_1.bin", batch}}),
                "data_batch_1.bin does not consist of records of 3073 bytes");
}

TEST_F(ImportArraysTest, PicklesAreRefused) {
  ExpectRefused(Import({{"cifar-10-batches-py/data_batch_1", "\x80\x02}q\x01"}}),
                "it is a Python pickle");
}

}  // namespace
}  // namespace atelier::models
