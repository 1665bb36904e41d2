// Tests of what turns values into text: widths, tables, figures, arguments, JSON and CSV.
#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "atelier/v1/job.pb.h"
#include "client/calls/arguments.h"
#include "client/following/job_text.h"
#include "client/terminal/ascii_stream.h"
#include "client/terminal/display_text.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/terminal/output.h"
#include "client/terminal/picture.h"
#include "client/terminal/table.h"
#include "gtest/gtest.h"

namespace atelier::client {
namespace {

TEST(DisplayTextTest, CountsColumnsNotBytes) {
  EXPECT_EQ(DisplayWidth("Trouser"), 7);
  EXPECT_EQ(DisplayWidth("Über"), 4);
  EXPECT_EQ(DisplayWidth("e\u0301"), 1);
  EXPECT_EQ(DisplayWidth("靴"), 2);
  EXPECT_EQ(DisplayWidth("\xff\xfe"), 2);
}

TEST(DisplayTextTest, ClipsToTheWidthAndMarksIt) {
  EXPECT_EQ(Clip("Trouser", 7), "Trouser");
  EXPECT_EQ(Clip("Trouser", 5), "Trou…");
  EXPECT_EQ(Clip("靴靴靴", 4), "靴…");
  EXPECT_EQ(Clip("Trouser", 0), "");
}

TEST(DisplayTextTest, WrapsBetweenWords) {
  EXPECT_EQ(Wrap("one two three", 100, 2), "one two three");
  EXPECT_EQ(Wrap("one two three", 7, 2), "one two\n  three");
  EXPECT_EQ(Wrap("unbreakable x", 4, 2), "unbreakable\n  x");
}

TEST(DisplayTextTest, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(EscapeControls("a\x1b[2Jb"), "a\\x1b[2Jb");
  EXPECT_EQ(EscapeControls("a\r\nb"), "a\\x0d\\x0ab");
  EXPECT_EQ(EscapeControls("a\nb\tc\rd", true), "a\nb\tc\\x0dd");
  EXPECT_EQ(EscapeControls("\xc2\x9b"), "\\x9b");
  EXPECT_EQ(EscapeControls("\u202eabc"), "\\u{202e}abc");
  EXPECT_EQ(EscapeControls("\xc3"), "\\xc3");
  EXPECT_EQ(EscapeControls("Über → 靴"), "Über → 靴");
}

TEST(DisplayTextTest, EscapesEveryStringOfAMessage) {
  v1::TrainingJob job;
  job.set_name("jobs/\x1b");
  job.add_transitions()->set_message("a\x07");
  job.mutable_spec()->set_dataset("\x7f");
  v1::ConfusionMatrix matrix;
  matrix.add_class_names("\x1bX");
  EscapeControls(&job);
  EscapeControls(&matrix);
  EXPECT_EQ(job.name(), "jobs/\\x1b");
  EXPECT_EQ(job.transitions(0).message(), "a\\x07");
  EXPECT_EQ(job.spec().dataset(), "\\x7f");
  EXPECT_EQ(matrix.class_names(0), "\\x1bX");
}

TEST(TableTest, AlignsByWidthAndEndsNoLineInSpaces) {
  Table table({{"class"}, {"count", Table::Align::kRight}, {"note"}});
  table.AddRow({"Über", "1,000", ""});
  table.AddRow({"靴", "7", "seven"});
  EXPECT_EQ(table.Render(Style(false), 100),
            "class  count  note\n"
            "Über   1,000\n"
            "靴         7  seven\n");
}

TEST(TableTest, ColoursTheWordsNotTheSpaces) {
  Table table({{""}, {"", Table::Align::kRight}});
  table.AddRow({{"a", Ink::kRed}, {"b", Ink::kBold}});
  table.AddRow({"long", "longer"});
  EXPECT_EQ(table.Render(Style(true), 100),
            "\x1b[31ma\x1b[0m          \x1b[1mb\x1b[0m\nlong  longer\n");
}

TEST(TableTest, LeavesOptionalColumnsOutFromTheRightUntilItFits) {
  Table table({{"name"},
               {"one", Table::Align::kLeft, true},
               {"two"},
               {"three", Table::Align::kLeft, true}});
  table.AddRow({"x", "1", "2", "3"});
  EXPECT_EQ(table.Render(Style(false), 21), "name  one  two  three\nx     1    2    3\n");
  EXPECT_EQ(table.Render(Style(false), 20), "name  one  two\nx     1    2\n");
  EXPECT_EQ(table.Render(Style(false), 1), "name  two\nx     2\n");
}

TEST(FiguresTest, WritesNumbersForPeople) {
  EXPECT_EQ(Count(0), "0");
  EXPECT_EQ(Count(999), "999");
  EXPECT_EQ(Count(897802), "897,802");
  EXPECT_EQ(Count(-1234567), "-1,234,567");
  EXPECT_EQ(Count(1, "epoch"), "1 epoch");
  EXPECT_EQ(Percent(0.9183), "91.83 %");
  EXPECT_EQ(Loss(0.23115), "0.2311");
  EXPECT_EQ(Loss(0.0000123), "1.23e-05");
  EXPECT_EQ(Bytes(512), "512 B");
  EXPECT_EQ(Bytes(std::int64_t{2} << 30), "2 GiB");
  EXPECT_EQ(Bytes(3565158), "3.4 MiB");
}

TEST(FiguresTest, WritesDurationsForPeople) {
  EXPECT_EQ(Duration(absl::Milliseconds(420)), "0.4 s");
  EXPECT_EQ(Duration(absl::Seconds(42)), "42 s");
  EXPECT_EQ(Duration(absl::Seconds(59.9)), "1m 00s");
  EXPECT_EQ(Duration(absl::Seconds(72)), "1m 12s");
  EXPECT_EQ(Duration(absl::Minutes(125)), "2h 05m");
  EXPECT_EQ(Duration(absl::Hours(76)), "3d 4h");
  EXPECT_EQ(Duration(-absl::Seconds(5)), "0.0 s");
}

TEST(FiguresTest, ExactNumbersReadBackTheSame) {
  EXPECT_EQ(std::stod(Exact(0.1 + 0.2)), 0.1 + 0.2);
  EXPECT_EQ(Exact(0.5), "0.5");
}

TEST(ArgumentsTest, JobsTakeBareAndFullNames) {
  EXPECT_EQ(JobName("x-1").value(), "jobs/x-1");
  EXPECT_EQ(JobName("jobs/x-1").value(), "jobs/x-1");
  for (const char* wrong : {"", "jobs/", "a/b", "jobs/a/b", "models/a"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(JobName(wrong).status())) << wrong;
  }
}

TEST(ArgumentsTest, ModelsTakeEveryForm) {
  EXPECT_EQ(ParseModel("cnn-3")->ResourceName(), "models/cnn-3");
  EXPECT_EQ(ParseModel("cnn-3@3")->ResourceName(), "models/cnn-3/versions/3");
  EXPECT_EQ(ParseModel("cnn-3@production")->ResourceName(), "models/cnn-3/versions/production");
  EXPECT_EQ(ParseModel("models/cnn-3")->ResourceName(), "models/cnn-3");
  EXPECT_EQ(ParseModel("models/cnn-3/versions/3")->ResourceName(), "models/cnn-3/versions/3");
  for (const char* wrong : {"", "@3", "a@", "a@b@c", "a/b", "models/", "models/a/versions/"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseModel(wrong).status())) << wrong;
  }
  EXPECT_EQ(ShortModel("models/cnn-3/versions/4"), "cnn-3@4");
  EXPECT_EQ(FileStem("models/cnn-3/versions/4"), "cnn-3-v4");
  EXPECT_EQ(FileStem("../../etc"), "model");
}

TEST(ArgumentsTest, DatasetsHaveVersions) {
  EXPECT_EQ(*DatasetName("digits"), "datasets/digits");
  EXPECT_EQ(*DatasetName("digits@3"), "datasets/digits/versions/3");
  EXPECT_EQ(*DatasetName("datasets/digits/versions/3"), "datasets/digits/versions/3");
  for (const char* wrong : {"", "@3", "a@", "a@b@c", "a/b", "datasets/", "datasets/a/versions/"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(DatasetName(wrong).status())) << wrong;
  }
  EXPECT_EQ(ShortDataset("datasets/digits/versions/3"), "digits@3");
  EXPECT_EQ(ShortDataset("datasets/digits"), "digits");
}

TEST(ArgumentsTest, EnumsAreReadAndWrittenAsWords) {
  EXPECT_EQ(EnumWord(v1::JobState_descriptor(), v1::JOB_STATE_TRAINING), "training");
  EXPECT_EQ(EnumWord(v1::JobState_descriptor(), 77), "77");
  EXPECT_EQ(ParseEnum(v1::Precision_descriptor(), "--precision", "BFloat16").value(),
            v1::PRECISION_BFLOAT16);
  const auto wrong = ParseEnum(v1::Precision_descriptor(), "--precision", "unspecified");
  EXPECT_EQ(wrong.status().message(),
            "--precision: 'unspecified' is not one of auto, float32, bfloat16.");
}

TEST(OutputTest, JsonIsOneLineWithTheProtosNames) {
  v1::TrainingJob job;
  job.mutable_result()->set_test_accuracy(0.5);
  job.add_transitions()->set_message("a\nb");
  const std::string line = JsonLine(job);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_NE(line.find("\"test_accuracy\":0.5"), std::string::npos);
  EXPECT_NE(line.find("\"best_epoch\":0"), std::string::npos);
}

TEST(OutputTest, CsvQuotesWhatItMust) {
  EXPECT_EQ(CsvLine({"a", "b,c", "d\"e", "f\ng", ""}), "a,\"b,c\",\"d\"\"e\",\"f\ng\",\n");
}

TEST(JobTextTest, SaysWhatMakesAResultDoubtful) {
  v1::TrainingResult result;
  const Style plain(/*color=*/false);
  EXPECT_EQ(NotesText(result.warnings(), plain), "");
  EXPECT_EQ(EndMark(result), "");
  result.add_warnings("One class is missing.");
  EXPECT_EQ(NotesText(result.warnings(), plain), "\n  note  One class is missing.\n");
  result.set_stopped_early(true);
  EXPECT_EQ(EndMark(result), " (stopped early)");
  result.set_diverged(true);
  EXPECT_EQ(EndMark(result), " (diverged)");
}

TEST(ExitCodesTest, FollowTheStateAndTheStatus) {
  EXPECT_EQ(ExitCodeOf(v1::JOB_STATE_COMPLETED), 0);
  EXPECT_EQ(ExitCodeOf(v1::JOB_STATE_FAILED), 100);
  EXPECT_EQ(ExitCodeOf(v1::JOB_STATE_STORING), 101);
  EXPECT_EQ(ExitCodeOf(v1::JOB_STATE_STOPPED), 103);
  EXPECT_EQ(ExitCodeOf(absl::NotFoundError("")), 102);
  EXPECT_EQ(ExitCodeOf(absl::UnavailableError("")), 1);
}

TEST(PictureTest, DrawsTwoRowsALine) {
  v1::ImageShape shape;
  shape.set_channels(1);
  shape.set_height(3);
  shape.set_width(2);
  const std::string pixels("\x00\xff\x00\xff\xff\x00", 6);
  EXPECT_EQ(DrawPicture(pixels, shape, Style(false), 80), (std::vector<std::string>{" █", "▒ "}));
  const auto colored = DrawPicture(pixels, shape, Style(true), 80);
  ASSERT_EQ(colored.size(), 2U);
  EXPECT_EQ(colored[0], "\x1b[38;5;16;48;5;16m▀\x1b[38;5;231;48;5;231m▀\x1b[0m");
  EXPECT_TRUE(DrawPicture("short", shape, Style(false), 80).empty());
  EXPECT_EQ(DrawPicture(pixels, shape, Style(false), 1).size(), 1U);
}

bool IsAscii(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x80; });
}

TEST(AsciiTest, LookAlikesAreAsWideAsWhatTheyStandFor) {
  EXPECT_EQ(ToAscii("━━━── 40 %  ✔ done, 28×28 … Shirt → Bag"),
            "###-- 40 %  + done, 28x28 . Shirt > Bag");
  EXPECT_EQ(ToAscii("91.77 % ± 0.12"), "91.77 %+/-0.12");
  for (const char* text :
       {"é", "日本", "e\u0301", "👟", "± ±", "a ± b", "\xff\xfe", "⠋⠙⠹⠸", "█▋▏"}) {
    EXPECT_TRUE(IsAscii(ToAscii(text))) << ToAscii(text);
    EXPECT_EQ(DisplayWidth(ToAscii(text)), DisplayWidth(text)) << text;
  }
}

TEST(AsciiTest, ATableLinesUp) {
  Table table({{"class"}, {"accuracy", Table::Align::kRight}, {"bar"}});
  table.AddRow({"Größe", "91.77 % ± 0.12", "██▋"});
  table.AddRow({"日本", "–", "━─"});
  table.AddRow({"Shirt → Bag", "9 %", "end"});
  const std::vector<std::string> lines =
      absl::StrSplit(ToAscii(table.Render(Style(false), 100)), '\n');
  const auto end = lines[3].find("end");
  EXPECT_EQ(lines[0].find("bar"), end);
  EXPECT_EQ(lines[1].find("###"), end);
  EXPECT_EQ(lines[2].find("#-"), end);
}

TEST(AsciiTest, AStreamPutsCharactersTogetherThatCameInPieces) {
  std::ostringstream sink;
  {
    AsciiStream stream(&sink);
    const std::string text = "→ é\n";
    for (const char byte : text) stream << byte;
    stream << std::string("ab\xe2\x86");
    EXPECT_TRUE(stream.flush());
    EXPECT_EQ(sink.str(), "> ?\nab");
  }
  EXPECT_EQ(sink.str(), "> ?\nab??");
  sink.setstate(std::ios::badbit);
  AsciiStream stream(&sink);
  stream << "lost" << std::flush;
  EXPECT_FALSE(stream);
}

TEST(StartTextTest, SaysWhatATrainingBeganWith) {
  v1::TrainingStart start;
  EXPECT_EQ(StartText(start), "");
  start.set_model_version("models/base/versions/3");
  for (const char* layer : {"conv1", "norm1"}) start.add_taken_layers(layer);
  start.add_new_layers("output");
  EXPECT_EQ(StartText(start), "starts from base@3; taken: conv1, norm1; new: output");
  start.clear_new_layers();
  start.add_frozen_layers("conv1");
  start.set_continued_job("jobs/night-1");
  start.set_continued_epochs(4);
  EXPECT_EQ(StartText(start),
            "continues night-1 after epoch 4; which started from base@3; taken: conv1, norm1; new: "
            "none; frozen: conv1");
  for (int i = 2; i <= 6; ++i) start.add_taken_layers(absl::StrCat("conv", i));
  EXPECT_TRUE(absl::StrContains(StartText(start), "taken: conv1, norm1 … conv6 (7 layers)"));
}

}  // namespace
}  // namespace atelier::client
