#include "client/following/live_view.h"

#include <sstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "client/following/live_printer.h"
#include "client/terminal/display_text.h"
#include "gtest/gtest.h"
#include "tests/unit/client/job_events.h"

namespace atelier::client {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1012);

LiveView MakeView(int width = 100) { return LiveView(MakeJob(), Style(false), width); }

TEST(LiveViewTest, SaysWhatIsTrained) {
  EXPECT_EQ(MakeView().Heading(), "night-1  cnn-3 on fashion-mnist, 20 epochs, batch 128, seed 7");
}

v1::TrainingJob MakeImport() {
  v1::TrainingJob job;
  job.set_name("jobs/import-digits");
  job.set_state(v1::JOB_STATE_IMPORTING);
  job.mutable_import()->set_dataset("digits");
  job.mutable_import()->set_source_name("pictures");
  job.mutable_import()->set_size_bytes(3 << 20);
  return job;
}

TEST(LiveViewTest, SaysWhatIsImported) {
  const LiveView view(MakeImport(), Style(false), 100);
  EXPECT_EQ(view.Heading(), "import-digits  digits from pictures, 3 MiB");
}

TEST(LiveViewTest, AnImportCountsImagesAndHasNoEpochs) {
  v1::TrainingJob job = MakeImport();
  LiveView view(job, Style(false), 100);
  v1::JobEvent event;
  event.mutable_step()->set_images(1500);
  event.mutable_step()->set_total_images(6000);
  event.mutable_step()->set_images_per_second(5000);
  EXPECT_TRUE(view.Apply(event).empty());
  const std::string line = view.StatusLine(100, kNow);
  EXPECT_TRUE(absl::StrContains(line, "1,500 of 6,000 images")) << line;
  EXPECT_TRUE(absl::StrContains(line, "5,000 images/s")) << line;
  EXPECT_FALSE(absl::StrContains(line, "epoch")) << line;
  EXPECT_FALSE(absl::StrContains(line, "loss")) << line;
}

TEST(LiveViewTest, SaysWhatIsEvaluatedAndChecked) {
  v1::TrainingJob job;
  job.set_name("jobs/evaluate-cnn-3");
  job.mutable_evaluation()->set_model_version("models/cnn-3/versions/2");
  job.mutable_evaluation()->set_dataset("digits@1");
  job.mutable_evaluation()->set_split(v1::DATASET_SPLIT_TEST);
  EXPECT_EQ(LiveView(job, Style(false), 100).Heading(),
            "evaluate-cnn-3  cnn-3@2 on the test images of digits@1");
  job.clear_evaluation();
  job.mutable_check()->set_dataset("digits@1");
  job.mutable_check()->set_split(v1::DATASET_SPLIT_TRAINING);
  job.mutable_check()->set_folds(5);
  EXPECT_EQ(LiveView(job, Style(false), 100).Heading(),
            "evaluate-cnn-3  check of digits@1, labels of its training images, 5 folds, seed 0");
}

TEST(LiveViewTest, ACheckCountsImages) {
  v1::TrainingJob job;
  job.set_state(v1::JOB_STATE_CHECKING);
  job.mutable_check();
  LiveView view(job, Style(false), 100);
  v1::JobEvent event;
  event.mutable_step()->set_images(1500);
  event.mutable_step()->set_total_images(6000);
  view.Apply(event);
  const std::string line = view.StatusLine(100, kNow);
  EXPECT_TRUE(absl::StrContains(line, "1,500 of 6,000 images")) << line;
}

TEST(LiveViewTest, PrintsPhasesWithTheirTime) {
  LiveView view = MakeView();
  EXPECT_EQ(view.Apply(TransitionEvent(1, v1::JOB_STATE_QUEUED)),
            (LiveView::Lines{"   0.0 s  queued"}));
  EXPECT_EQ(view.Apply(TransitionEvent(2, v1::JOB_STATE_PREPARING, "", 1003)),
            (LiveView::Lines{"   3.0 s  preparing"}));
}

TEST(LiveViewTest, PrintsTitlesOnceAndEpochsBelowThem) {
  LiveView view = MakeView();
  const auto first = view.Apply(EpochEvent(1, 1, true));
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[0], "   epoch  train loss  train acc  val loss  val acc  images/s     time");
  EXPECT_EQ(first[1],
            "       1      0.5123     81.9 %    0.3911   85.6 %     3,912     15 s  ★ best");
  EXPECT_EQ(
      view.Apply(EpochEvent(2, 2)),
      (LiveView::Lines{"       2      0.5123     81.9 %    0.3911   85.6 %     3,912     15 s"}));
}

TEST(LiveViewTest, NarrowTablesKeepWhatMattersMost) {
  for (int width = 20; width < 100; ++width) {
    LiveView view = MakeView(width);
    for (const std::string& line : view.Apply(EpochEvent(1, 1, true))) {
      EXPECT_LT(DisplayWidth(line), std::max(width, 28)) << line;
      EXPECT_TRUE(absl::StrContains(line, "85.6 %") || absl::StrContains(line, "val acc"));
    }
  }
}

TEST(LiveViewTest, TheStatusLineNeverWraps) {
  LiveView view = MakeView();
  view.Apply(TransitionEvent(1, v1::JOB_STATE_TRAINING));
  view.Apply(StepEvent(2, 3, 228));
  for (int width = 1; width <= 200; ++width) {
    const std::string line = view.StatusLine(width, kNow);
    EXPECT_LT(DisplayWidth(line), width) << line;
  }
}

TEST(LiveViewTest, TheStatusLineShowsEverythingWhereThereIsRoom) {
  LiveView view = MakeView();
  view.Apply(TransitionEvent(1, v1::JOB_STATE_TRAINING));
  view.Apply(StepEvent(2, 3, 211));
  EXPECT_EQ(view.StatusLine(150, kNow),
            "epoch  3/20  ━━━━━━━━━━━━━━━───────────────   50 %  step 211/422   3,912 images/s  "
            "loss 0.2431  acc 91.2 %  1m 12s left");
  const std::string narrow = view.StatusLine(50, kNow);
  EXPECT_TRUE(absl::StartsWith(narrow, "epoch  3/20  ━━━━━"));
  EXPECT_TRUE(absl::EndsWith(narrow, "loss 0.2431  1m 12s left"));
}

TEST(LiveViewTest, ShowsTheQueueWhileWaiting) {
  LiveView view = MakeView();
  view.Apply(TransitionEvent(1, v1::JOB_STATE_QUEUED));
  view.SetQueuePosition(2);
  EXPECT_TRUE(absl::EndsWith(view.StatusLine(80, kNow), "queued, 2 jobs before this one  12 s"));
}

TEST(LiveViewTest, TellsOfALostWorkerAndDropsWithdrawnProgress) {
  LiveView view = MakeView();
  view.Apply(TransitionEvent(1, v1::JOB_STATE_QUEUED));
  view.Apply(TransitionEvent(2, v1::JOB_STATE_TRAINING));
  view.Apply(StepEvent(3, 3, 211));
  EXPECT_EQ(view.Apply(TransitionEvent(4, v1::JOB_STATE_QUEUED, "The worker was lost.")),
            (LiveView::Lines{"   0.0 s  queued again: The worker was lost."}));
  view.Apply(TransitionEvent(5, v1::JOB_STATE_TRAINING));
  EXPECT_EQ(view.Apply(RewoundEvent(6, 3, 2)),
            (LiveView::Lines{"   0.0 s  rewound to epoch 2, continuing"}));
  EXPECT_FALSE(absl::StrContains(view.StatusLine(150, kNow), "epoch  3/20"));
  view.Apply(StepEvent(7, 2, 1));
  EXPECT_TRUE(absl::StrContains(view.StatusLine(150, kNow), "epoch  2/20"));
}

TEST(LiveViewTest, LongNoticesAreWrappedBehindTheirTime) {
  LiveView view = MakeView(40);
  EXPECT_EQ(view.Apply(TransitionEvent(7, v1::JOB_STATE_QUEUED, "The worker was lost.")),
            (LiveView::Lines{"   0.0 s  queued again: The worker was\n          lost."}));
}

TEST(LiveViewTest, AnEndedJobHasNoStatusLine) {
  LiveView view = MakeView();
  EXPECT_TRUE(view.Apply(TransitionEvent(1, v1::JOB_STATE_COMPLETED)).empty());
  EXPECT_EQ(view.StatusLine(80, kNow), "");
}

// A printer on a terminal of 120 columns whose clock the test sets.
class LivePrinterTest : public testing::Test {
 protected:
  LivePrinter MakePrinter(bool interactive) {
    terminal_.interactive = interactive;
    terminal_.width = [] { return 120; };
    LivePrinter::Options options;
    options.clock = [this] { return now_; };
    return LivePrinter(terminal_, MakeJob(v1::JOB_STATE_TRAINING), options);
  }

  std::string TakeOutput() {
    std::string text = out_.str();
    out_.str("");
    return text;
  }

  absl::Time now_ = kNow;
  std::ostringstream out_;
  Terminal terminal_{.out = out_, .err = out_};
};

TEST_F(LivePrinterTest, UpdatesOneLineInPlaceAtMostTenTimesASecond) {
  LivePrinter printer = MakePrinter(true);
  printer.OnEvent(StepEvent(1, 1, 1));
  printer.OnTick();
  TakeOutput();
  printer.OnEvent(StepEvent(2, 1, 2));
  now_ += absl::Milliseconds(50);
  printer.OnTick();
  EXPECT_EQ(TakeOutput(), "");
  now_ += absl::Milliseconds(60);
  printer.OnTick();
  const std::string drawn = TakeOutput();
  EXPECT_TRUE(absl::StartsWith(drawn, "\repoch  1/20")) << drawn;
  EXPECT_TRUE(absl::EndsWith(drawn, "\x1b[K"));
  EXPECT_FALSE(absl::StrContains(drawn, "\n"));
}

TEST_F(LivePrinterTest, FinishedLinesTakeThePlaceOfTheStatusLine) {
  LivePrinter printer = MakePrinter(true);
  printer.OnEvent(StepEvent(1, 1, 1));
  printer.OnTick();
  TakeOutput();
  printer.OnEvent(EpochEvent(2, 1));
  EXPECT_TRUE(absl::StartsWith(TakeOutput(), "\r\x1b[K   epoch  train loss"));
}

TEST_F(LivePrinterTest, WritesPlainLinesWhereThereIsNoTerminal) {
  LivePrinter printer = MakePrinter(false);
  printer.OnEvent(StepEvent(1, 1, 1));
  printer.OnTick();
  printer.OnEvent(EpochEvent(2, 1));
  printer.OnConnectionLost();
  printer.OnConnectionRestored();
  const std::string text = TakeOutput();
  EXPECT_EQ(text.find_first_of("\r\x1b"), std::string::npos) << text;
  EXPECT_TRUE(absl::StrContains(text, "connection lost, waiting for the server…\n"));
}

TEST_F(LivePrinterTest, SaysWhyAJobWaitsOncePerChange) {
  LivePrinter printer = MakePrinter(false);
  TakeOutput();
  v1::Waiting waiting;
  for (const char* reason :
       {"", "no memory", "no memory", "", "no process\x1b", "no process\x1b"}) {
    waiting.set_reason(reason);
    printer.OnWaiting(waiting);
  }
  EXPECT_EQ(TakeOutput(), "waiting: no memory\nwaiting: no process\\x1b\n");
}

TEST_F(LivePrinterTest, NeverObeysTheServersText) {
  LivePrinter printer = MakePrinter(false);
  TakeOutput();
  printer.OnEvent(TransitionEvent(1, v1::JOB_STATE_STOPPING, "\x1b[2J"));
  EXPECT_EQ(TakeOutput(), "   0.0 s  stopping: \\x1b[2J\n");
}

}  // namespace
}  // namespace atelier::client
