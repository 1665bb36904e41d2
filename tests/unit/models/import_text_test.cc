// Archives' entries, names and tables as imports read them.
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/base/failure.h"
#include "models/files/archive_reader.h"
#include "models/import/natural_order.h"
#include "models/import/table_reader.h"
#include "tests/unit/models/import_sources.h"
#include "tests/unit/models/temporary_folder.h"

namespace atelier::models {
namespace {

using ::testing::ElementsAre;

TEST(ArchiveReaderTest, SkipsToAnEntryByItsNumber) {
  const TemporaryFolder folder;
  folder.Write("a.tar",
               PackArchive(ArchiveFormat::kTar, {{"a", "0"}, {"b", "1"}, {"c", "2"}, {"d", "3"}}));
  const auto archive = ArchiveReader::Open(folder.File("a.tar"), ArchiveReader::Packing::kTar, "");
  ASSERT_TRUE(archive.ok()) << archive.status();
  ASSERT_TRUE((*archive)->Next().ok());
  ASSERT_TRUE((*archive)->SkipTo(2).ok());
  // Again, and to one before it.
  ASSERT_TRUE((*archive)->SkipTo(2).ok());
  ASSERT_TRUE((*archive)->SkipTo(1).ok());
  EXPECT_EQ((*archive)->ReadAll(10).value(), "2");
  const absl::Status beyond = (*archive)->SkipTo(4);
  ASSERT_FALSE(beyond.ok());
  EXPECT_EQ(ReasonOf(beyond), FailureReason::kBadData);
  EXPECT_EQ(beyond.message(), "it changed while it was read");
}

TEST(NaturalOrderTest, DigitsCompareByValue) {
  EXPECT_TRUE(NaturalLess("img2.png", "img10.png"));
  EXPECT_FALSE(NaturalLess("img10.png", "img2.png"));
  EXPECT_TRUE(NaturalLess("a9b9", "a9b10"));
  EXPECT_TRUE(NaturalLess("99999999999999999999998", "99999999999999999999999"));
}

TEST(NaturalOrderTest, OtherCharactersCompareByByte) {
  EXPECT_TRUE(NaturalLess("cat", "dog"));
  EXPECT_TRUE(NaturalLess("Dog", "cat"));
  EXPECT_TRUE(NaturalLess("a", "ab"));
  EXPECT_TRUE(NaturalLess("z", "\xc3\xa4"));
}

TEST(NaturalOrderTest, NamesOfEqualNumbersStillHaveAnOrder) {
  EXPECT_TRUE(NaturalLess("01", "1") != NaturalLess("1", "01"));
  EXPECT_FALSE(NaturalLess("7", "7"));
}

std::vector<std::string> Fields(absl::string_view line, char separator = ',') {
  std::vector<absl::string_view> fields;
  SplitFields(line, separator, &fields);
  return {fields.begin(), fields.end()};
}

TEST(TableReaderTest, FieldsMayBeQuoted) {
  EXPECT_THAT(Fields("a,\"b,c\",d"), ElementsAre("a", "b,c", "d"));
  EXPECT_THAT(Fields("\"a\"\"b\",c"), ElementsAre("a\"\"b", "c"));
  EXPECT_THAT(Fields("\"never closed,a"), ElementsAre("never closed,a"));
}

TEST(TableReaderTest, FieldsMayBeEmpty) {
  EXPECT_THAT(Fields(",a,"), ElementsAre("", "a", ""));
  EXPECT_THAT(Fields(""), ElementsAre(""));
}

TEST(TableReaderTest, TheMostFrequentSeparatorCounts) {
  EXPECT_EQ(SeparatorOf("a,b;c;d"), ';');
  EXPECT_EQ(SeparatorOf("a\tb\tc"), '\t');
  EXPECT_EQ(SeparatorOf("a"), ',');
}

TEST(PrintableNameTest, EscapesWhatIsNoUtf8) {
  EXPECT_EQ(PrintableName("K\xc3\xa4tzchen/1.png"), "K\xc3\xa4tzchen/1.png");
  EXPECT_EQ(PrintableName("caf\xe9.png"), "caf\\351.png");
  EXPECT_EQ(PrintableName("a\nb\x1b"), "a\\nb\\033");
}

TEST(PrintableNameTest, IsShortAndEndsWithACharacter) {
  std::string name;
  for (int i = 0; i < 200; ++i) name += "\xc3\xa4";
  const std::string shown = PrintableName("x" + name);
  EXPECT_LE(shown.size(), 210u);
  EXPECT_TRUE(IsUtf8(shown));
}

TEST(IsUtf8Test, RefusesWhatUnicodeDoes) {
  EXPECT_TRUE(IsUtf8("\xf0\x9f\x90\x88"));
  EXPECT_FALSE(IsUtf8("\xc3"));
  EXPECT_FALSE(IsUtf8("\xc0\xaf"));
  EXPECT_FALSE(IsUtf8("\xed\xa0\x80"));
  EXPECT_FALSE(IsUtf8("\xf4\x90\x80\x80"));
}

}  // namespace
}  // namespace atelier::models
