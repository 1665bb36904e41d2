// CSV files: of pixels, and of pictures beside them.
#include <zlib.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/models/import_sources.h"

namespace atelier::models {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ImportTablesTest : public ImportTest {};

const std::string kTrain =
    "label,pixel0,pixel1,pixel2,pixel3\n0,1,2,3,4\n1,5,6,7,8\r\n\n0,9,10,11,12\n";
const std::string kTest = "label,pixel0,pixel1,pixel2,pixel3\n1,255,0,128,7\n";

TEST_F(ImportTablesTest, ReadsARowOfPixelsPerImage) {
  const Imported imported = Imports({{"mnist_train.csv", kTrain}, {"mnist_test.csv", kTest}});
  ASSERT_NE(imported.dataset, nullptr);
  EXPECT_EQ(imported.report.format, "a CSV row per image");
  EXPECT_EQ(imported.report.shape, (ImageShape{1, 2, 2}));
  EXPECT_THAT(imported.dataset->training().labels, ElementsAre(0, 1, 0));
  EXPECT_THAT(Pixels(imported, SplitName::kTraining, 1), ElementsAre(5, 6, 7, 8));
  EXPECT_THAT(Pixels(imported, SplitName::kTest, 0), ElementsAre(255, 0, 128, 7));
}

TEST_F(ImportTablesTest, ReadsASingleFilePlainAndGzipped) {
  options_.test_fraction = 0.4;
  const auto plain = Import("data.csv", kTrain);
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(plain->report.training.images, 2);
  const std::string gzipped = [&] {
    folder_.Write("plain", kTrain);
    const gzFile file = gzopen(folder_.File("scratch.gz").c_str(), "wb");
    gzwrite(file, kTrain.data(), static_cast<unsigned>(kTrain.size()));
    gzclose(file);
    return folder_.Read("scratch.gz");
  }();
  const auto unpacked = Import("data.csv.gz", gzipped);
  ASSERT_TRUE(unpacked.ok()) << unpacked.status();
  EXPECT_EQ(unpacked->report.checksum, plain->report.checksum);
}

TEST_F(ImportTablesTest, NeedsNoColumnNames) {
  const Imported imported =
      Imports({{"train.csv", "0,1,2,3,4\n1,5,6,7,8\n"}, {"test.csv", "1,9,9,9,9\n"}});
  EXPECT_EQ(imported.report.training.images, 2);
  EXPECT_THAT(Pixels(imported, SplitName::kTraining, 0), ElementsAre(1, 2, 3, 4));
}

TEST_F(ImportTablesTest, NamesOfColumnsMayBeNumbers) {
  const Imported imported = Imports(
      {{"train.csv", "label,0,1,2,3\n0,1,2,3,4\n1,5,6,7,8\n"}, {"test.csv", "1,9,9,9,9\n"}});
  EXPECT_EQ(imported.report.training.images, 2);
  EXPECT_THAT(imported.report.class_names, ElementsAre("0", "1"));
}

TEST_F(ImportTablesTest, TheLabelMayBeTheLastColumnAndAWord) {
  const Imported imported = Imports({{"train.csv", "p0;p1;p2;p3;class\n1;2;3;4;dog\n5;6;7;8;cat\n"},
                                     {"test.csv", "p0;p1;p2;p3;class\n1;2;3;4;cat\n"}});
  EXPECT_THAT(imported.report.class_names, ElementsAre("cat", "dog"));
  EXPECT_THAT(imported.dataset->training().labels, ElementsAre(1, 0));
}

TEST_F(ImportTablesTest, FloatsUpToOneAreScaled) {
  const Imported imported =
      Imports({{"train.csv", "0,0,0.5,1,0.25\n1,0,0,0,1.0\n"}, {"test.csv", "1,0,0,0,0\n"}});
  EXPECT_THAT(Pixels(imported, SplitName::kTraining, 0), ElementsAre(0, 128, 255, 64));
}

TEST_F(ImportTablesTest, GapsInTheNumbersAreClassesWithoutImages) {
  const Imported imported =
      Imports({{"train.csv", "0,1,2,3,4\n2,5,6,7,8\n"}, {"test.csv", "2,9,9,9,9\n"}});
  EXPECT_THAT(imported.report.class_names, ElementsAre("0", "1", "2"));
  EXPECT_THAT(imported.report.warnings,
              Contains(HasSubstr("1 classes have no training images ('1')")));
}

TEST_F(ImportTablesTest, ColouredRowsNeedTheirAxes) {
  std::string row = "1";
  for (int i = 0; i < 12; ++i) absl::StrAppend(&row, ",", i);
  const std::vector<SourceFile> files = {{"train.csv", row + "\n0" + row.substr(1) + "\n"},
                                         {"test.csv", row + "\n"}};
  ExpectRefused(Import(files), "say whether these lie side by side", FailureReason::kInvalidSpec);
  options_.axes = ImportOptions::Axes::kNhwc;
  EXPECT_THAT(Pixels(Imports(files), SplitName::kTraining, 0),
              ElementsAre(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11));
  options_.axes = ImportOptions::Axes::kNchw;
  EXPECT_THAT(Pixels(Imports(files), SplitName::kTraining, 0),
              ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
}

TEST_F(ImportTablesTest, MistakesAreNamedByLine) {
  ExpectRefused(Import("d.csv", "0,1,2,3,4\n1,5,6,7\n"),
                "d.csv: line 2: there are 4 columns instead of 5");
  ExpectRefused(Import("d.csv", "0,1,2,3,4\n1,5,x,7,8\n"), "line 2: column 3 is 'x', no number");
  ExpectRefused(Import("d.csv", "0,1,2,3,4\n1,5,6,7,300\n"), "its pixels are 1 to 300");
  ExpectRefused(Import("d.csv", "0,1,2,3,4\n,5,6,7,8\n"), "line 2: the label is empty");
  ExpectRefused(Import("d.csv", "0,1,2,3,4,5\n1,2,3,4,5,6\n"),
                "5 pixels, which make no square image");
  ExpectRefused(Import("d.csv", "pixel0,pixel1\n1,2\n"), "it has no column named label");
  ExpectRefused(Import("d.csv", "0\n1\n"), "it has one column");
}

// --- Pictures that a table lists -----------------------------------------------------------------

std::vector<SourceFile> Listed(const std::string& table) {
  std::vector<SourceFile> files = {{"d/labels.csv", table}};
  for (int i = 0; i < 8; ++i) {
    files.push_back({absl::StrCat("d/img/", i, ".png"), NumberedPng(i)});
  }
  return files;
}

TEST_F(ImportTablesTest, ReadsPicturesThatATableLists) {
  const Imported imported = Imports(
      Listed("file,label,split\nimg/3.png,dog,train\n\"img/1.png\",cat,train\n2.png,cat,test\n"
             "5,dog,val\n6.png,cat,val\n"));
  ASSERT_NE(imported.dataset, nullptr);
  EXPECT_EQ(imported.report.format, "pictures listed in a CSV file, PNG");
  EXPECT_THAT(imported.report.class_names, ElementsAre("cat", "dog"));
  EXPECT_EQ(Pixels(imported, SplitName::kTraining, 0), NumberedImage(6, 5, 1, 3).pixels);
  EXPECT_EQ(imported.dataset->validation_images(), 2);
  EXPECT_EQ(Pixels(imported, SplitName::kTest, 0), NumberedImage(6, 5, 1, 2).pixels);
  EXPECT_THAT(imported.report.warnings,
              Contains("3 pictures stand in no table and were left out."));
}

TEST_F(ImportTablesTest, SeveralTablesAreSplits) {
  std::vector<SourceFile> files = Listed("");
  files[0] = {"d/train.csv", "image,label\n0.png,1\n1.png,0\n"};
  files.push_back({"d/test.csv", "image,label\n2.png,1\n"});
  const Imported imported = Imports(files);
  EXPECT_EQ(imported.report.training.images, 2);
  EXPECT_EQ(imported.report.test.images, 1);
}

TEST_F(ImportTablesTest, RowsWithoutAPictureAreUnreadable) {
  std::string table = "file,label\n";
  for (int i = 0; i < 8; ++i) absl::StrAppend(&table, i, ".png,", i % 2, "\n");
  const Imported imported = Imports(Listed(table + "../9.png,1\n"));
  ASSERT_EQ(imported.report.unreadable_count, 1);
  EXPECT_EQ(imported.report.unreadable[0].name, "../9.png");
  EXPECT_THAT(imported.report.unreadable[0].reason, HasSubstr("not there"));
}

TEST_F(ImportTablesTest, MistakesInListsAreNamedByLine) {
  ExpectRefused(Import(Listed("file,label,split\n0.png,a,train\n1.png,b,nowhere\n")),
                "d/labels.csv: line 3: the split is 'nowhere'");
  ExpectRefused(Import(Listed("file,label\n0.png,a\n0.png,b\n")),
                "line 3: '0.png' stood in a row before");
  ExpectRefused(Import(Listed("file,label\n0.png,a\n1.png\n")),
                "line 3: there are 1 columns instead of 2");
}

}  // namespace
}  // namespace atelier::models
