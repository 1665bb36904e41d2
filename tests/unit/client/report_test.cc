// The report's page and its charts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "absl/strings/str_cat.h"
#include "client/report/chart.h"
#include "client/report/html.h"
#include "client/report/page.h"

namespace atelier::client::report {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

int CountOf(absl::string_view text, absl::string_view words) {
  int count = 0;
  for (auto at = text.find(words); at != absl::string_view::npos; at = text.find(words, at + 1)) {
    ++count;
  }
  return count;
}

TEST(HtmlTest, WritesOutWhatMeansSomething) {
  EXPECT_EQ(Escape("<a href='x\"y'>&\x1b é\n"), "&lt;a href=&#39;x&quot;y&#39;&gt;&amp; é\n");
  EXPECT_EQ(PngAddress("abc"), "data:image/png;base64,YWJj");
}

TEST(ChartTest, TicksAreRound) {
  EXPECT_THAT(Ticks(0, 10, 5), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(Ticks(0.881, 0.912, 4), ElementsAre(DoubleEq(0.89), DoubleEq(0.9), DoubleEq(0.91)));
  EXPECT_THAT(Ticks(3, 3, 5), IsEmpty());
  EXPECT_THAT(Ticks(0, std::numeric_limits<double>::infinity(), 5), IsEmpty());
}

Chart Simple() {
  return {
      .title = "Loss <of> it",
      .x = {.title = "epoch", .format = nullptr},
      .y = {.title = "cross-entropy", .format = nullptr},
      .series = {{.name = "a&b", .points = {{1, 0.5, 0.4, 0.6, ""}, {2, 0.3, 0.2, 0.4, "told"}}}}};
}

TEST(ChartTest, DrawsLineBandValuesAndLegend) {
  const std::string svg = RenderChart(Simple());
  EXPECT_EQ(CountOf(svg, "<polyline"), 1);
  EXPECT_EQ(CountOf(svg, "<polygon class=\"band"), 1);
  EXPECT_EQ(CountOf(svg, "<circle"), 2);
  EXPECT_THAT(svg, HasSubstr("<title>told</title>"));
  EXPECT_THAT(svg, HasSubstr("Loss &lt;of&gt; it"));
  EXPECT_THAT(svg, HasSubstr("a&amp;b"));
  EXPECT_THAT(svg, HasSubstr(">epoch<"));
  EXPECT_THAT(svg, HasSubstr(">cross-entropy<"));
}

TEST(ChartTest, LeavesOutWhatIsNoNumber) {
  Chart chart = Simple();
  chart.series[0].points[0].y = std::numeric_limits<double>::quiet_NaN();
  chart.series.push_back({.name = "none", .points = {}});
  const std::string svg = RenderChart(chart);
  EXPECT_EQ(CountOf(svg, "<circle"), 1);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr(">none<")));
  chart.series.clear();
  EXPECT_THAT(RenderChart(chart), HasSubstr("Nothing was measured."));
}

TEST(ChartTest, OneSeriesNeedsNoLegend) {
  Chart chart = Simple();
  EXPECT_THAT(RenderChart(chart), Not(HasSubstr("legend")));
  chart.series.push_back({.name = "second", .color = 1, .points = {{1, 0.4, 0.4, 0.4, ""}}});
  EXPECT_THAT(RenderChart(chart), HasSubstr("</svg>second</li>"));
  chart.legend = false;
  EXPECT_THAT(RenderChart(chart), Not(HasSubstr("legend")));
  chart.series[1].faint = true;
  EXPECT_EQ(RenderLegend(chart.series), "");
}

TEST(ChartTest, LongSeriesStaySmall) {
  Chart chart = Simple();
  chart.series[0].points.clear();
  for (int i = 0; i < 100'000; ++i) chart.series[0].points.push_back({i * 1.0, 1.0 * i, 0, 0, ""});
  EXPECT_LT(RenderChart(chart).size(), 100'000);
}

TEST(ChartTest, MarksWholeNumbersAloneWhereThatIsAsked) {
  Chart chart = Simple();
  chart.x.format = [](double x) { return absl::StrCat("x", x); };
  EXPECT_THAT(RenderChart(chart), HasSubstr(">x1.2<"));
  chart.x.whole = true;
  const std::string svg = RenderChart(chart);
  EXPECT_THAT(svg, HasSubstr(">x1<"));
  EXPECT_THAT(svg, HasSubstr(">x2<"));
  EXPECT_THAT(svg, Not(HasSubstr(">x1.2<")));
}

// Names that would break out of the page if they could.
constexpr char kEvil[] = "<script>alert(1)</script>\"'&";

ModelPictures Pictures() {
  ModelPictures pictures{absl::StrCat("jobs/", kEvil), "models/net/versions/2", {}, 3, {}};
  v1::Filters& filters = pictures.filters;
  filters.set_layer(1);
  filters.set_layer_count(4);
  for (const std::int64_t extent : {32, 1, 3, 3}) filters.add_shape(extent);
  filters.mutable_picture()->set_png("filters");
  filters.mutable_picture()->set_columns(8);
  v1::FeatureMap map;
  map.set_block(2);
  map.mutable_shape()->set_channels(64);
  map.mutable_picture()->set_png("maps");
  pictures.classes.push_back({kEvil, 7, "input", {map}});
  return pictures;
}

ReportData Data() {
  ReportData data;
  data.title = kEvil;
  data.made = absl::UnixEpoch();
  data.client_version = "1";
  data.server_versions = {{"version", kEvil}};
  v1::TrainingJob job;
  job.set_name(absl::StrCat("jobs/", kEvil));
  job.set_state(v1::JOB_STATE_COMPLETED);
  job.mutable_spec()->set_preset(kEvil);
  job.mutable_spec()->set_dataset(kEvil);
  job.mutable_spec()->set_epochs(2);
  job.mutable_spec()->set_seed(3);
  job.mutable_result()->set_test_accuracy(0.9);
  job.mutable_result()->set_parameter_count(1000);
  auto* const transition = job.add_transitions();
  transition->set_state(v1::JOB_STATE_TRAINING);
  transition->set_message(kEvil);
  job.add_transitions()->set_state(v1::JOB_STATE_COMPLETED);
  job.mutable_transitions(1)->mutable_time()->set_seconds(5);
  job.mutable_end_time()->set_seconds(5);
  Trial failed;
  failed.job = "jobs/failed-1";
  failed.spec.set_preset("dense");
  failed.state = v1::RUN_STATE_FAILED;
  failed.message = kEvil;
  data.comparison = Compare({TrialOf(job), failed, MissingTrial("jobs/gone-1")});
  for (int epoch = 1; epoch <= 2; ++epoch) {
    v1::EpochMetrics metrics;
    metrics.set_epoch(epoch);
    metrics.set_validation_accuracy(0.8 + 0.05 * epoch);
    data.epochs[job.name()].push_back(metrics);
  }
  data.jobs[job.name()] = job;
  CloseLook look;
  look.job = job;
  look.resources = {{0, {}}, {1, {}}};
  look.confusion.emplace();
  for (int i = 0; i < 2; ++i) {
    look.confusion->add_class_names(kEvil);
    auto* const row = look.confusion->add_rows();
    row->add_counts(5);
    row->add_counts(2);
    look.confusion->add_class_metrics()->set_precision(0.7);
  }
  ConfusedPair pair{.true_class = 0, .predicted_class = 1, .count = 2, .images = {}};
  pair.images.push_back({v1::Prediction(), "png"});
  look.pairs.push_back(pair);
  data.close_looks.push_back(look);
  data.pictures = Pictures();
  return data;
}

TEST(PageTest, HasEverySectionAndEveryChart) {
  const std::string page = RenderPage(Data());
  for (const char* words :
       {"Comparison", "Curves", "What accuracy costs", "Every run", "A closer look", "By class",
        "Most often confused", "Phases", "Processor", "Memory", "Input and output",
        "How to reproduce this", "atelier train", "1 failed", "1 deleted",
        "data:image/png;base64,cG5n"}) {
    EXPECT_THAT(page, HasSubstr(words));
  }
  EXPECT_THAT(page, Not(HasSubstr("Grad-CAM")));
  EXPECT_EQ(CountOf(page, "data-chart="), 11);
  EXPECT_EQ(CountOf(page, "<section>"), CountOf(page, "</section>"));
  EXPECT_EQ(CountOf(page, "<div"), CountOf(page, "</div>"));
}

TEST(PageTest, ShowsTheEvidenceBelowWrongImages) {
  ReportData data = Data();
  v1::Explanation& evidence = data.close_looks[0].pairs[0].images[0].evidence.emplace();
  evidence.set_png("heat");
  const std::string page = RenderPage(data);
  EXPECT_THAT(page, HasSubstr(absl::StrCat("class=\"evidence\" src=\"", PngAddress("heat"))));
  EXPECT_THAT(page, HasSubstr("by Grad-CAM of the last block"));
  evidence.set_method(v1::EXPLANATION_METHOD_OCCLUSION);
  EXPECT_THAT(RenderPage(data), HasSubstr("by occlusion"));
}

// The data of a job whose calibration was recorded.
ReportData Calibrated() {
  ReportData data = Data();
  v1::TrainingResult* const result = data.close_looks[0].job.mutable_result();
  result->set_temperature(1.5);
  result->set_test_ece(0.0325);
  result->set_calibrated_test_ece(0.0125);
  result->set_test_macro_f1(0.765);
  v1::ConfusionMatrix& matrix = *data.close_looks[0].confusion;
  for (int i = 0; i < 3; ++i) {
    for (auto* const bin : {matrix.add_reliability(), matrix.add_calibrated_reliability()}) {
      bin->set_images(i * 4);
      bin->set_confidence(i / 3.0 + 0.2);
      bin->set_accuracy(i / 3.0 + 0.1);
    }
  }
  return data;
}

TEST(PageTest, DrawsReliabilityBesideTheConfusionMatrix) {
  const std::string page = RenderPage(Calibrated());
  const auto begin = page.find("data-chart=\"Reliability diagram\"");
  ASSERT_NE(begin, std::string::npos);
  EXPECT_LT(page.find("data-chart=\"Confusion matrix\""), begin);
  const std::string chart = page.substr(begin, page.find("</figure>", begin) - begin);
  EXPECT_EQ(CountOf(chart, "<circle"), 4) << "a dot for every bin that has images, twice";
  EXPECT_EQ(CountOf(chart, "<polyline"), 3) << "and the diagonal";
  EXPECT_THAT(chart, HasSubstr("confidence 66.7 % to 100.0 %: 8 images\n"
                               "mean confidence: 86.67 %\naccuracy: 76.67 %"));
  for (const char* words : {"1.500", "3.25 %, calibrated 1.25 %", "76.50 %", "--calibrated"}) {
    EXPECT_THAT(page, HasSubstr(words));
  }
}

// The data of a report on an evaluation alone.
ReportData Evaluated() {
  ReportData data = Calibrated();
  CloseLook look = data.close_looks[0];
  look.job.clear_spec();
  look.job.clear_result();
  v1::EvaluationSpec* const spec = look.job.mutable_evaluation();
  spec->set_model_version("models/net/versions/4");
  spec->set_sha256("0123abcd");
  spec->set_dataset("photos@2");
  spec->set_split(v1::DATASET_SPLIT_VALIDATION);
  v1::EvaluationResult* const result = look.job.mutable_evaluation_result();
  result->set_images(1234);
  result->set_accuracy(0.6125);
  result->set_top5_accuracy(0.9);
  result->set_macro_f1(0.5875);
  result->set_ece(0.125);
  result->set_temperature(1.25);
  result->set_calibrated_ece(0.0625);
  result->add_classes_without_images(kEvil);
  result->add_warnings("Images are repeated.");
  data.evaluations.push_back(std::move(look));
  data.close_looks.clear();
  data.pictures.reset();
  data.comparison = Compare({});
  data.epochs.clear();
  return data;
}

TEST(PageTest, ShowsAnEvaluationWithoutATraining) {
  const std::string page = RenderPage(Evaluated());
  for (const char* words :
       {"Atelier · evaluation report", "net@4 on the validation images of photos@2", "61.25 %",
        "top-5 accuracy", "58.75 %", "1,234", "There are no images of ", "Images are repeated.",
        "By class", "12.50 %, calibrated 6.25 %", "The validation images by the probability",
        "misclassified validation images", "Most often confused", "data:image/png;base64,cG5n",
        "Phases", "atelier evaluate net@4 --dataset=photos@2 --split=validation", "0123abcd"}) {
    EXPECT_THAT(page, HasSubstr(words));
  }
  EXPECT_EQ(CountOf(page, "data-chart=\"Confusion matrix\""), 1);
  EXPECT_EQ(CountOf(page, "data-chart=\"Reliability diagram\""), 1);
  for (const char* words : {"Comparison", "Curves", "Recommendation", "<script", "seeds",
                            "same weights", "test image"}) {
    EXPECT_THAT(page, Not(HasSubstr(words)));
  }
  EXPECT_EQ(CountOf(page, "<section>"), CountOf(page, "</section>"));
  EXPECT_EQ(CountOf(page, "<div"), CountOf(page, "</div>"));
}

TEST(PageTest, ShowsEvaluationsBelowTrainings) {
  ReportData data = Data();
  data.evaluations = Evaluated().evaluations;
  const std::string page = RenderPage(data);
  EXPECT_THAT(page, HasSubstr("Atelier · training report"));
  EXPECT_LT(page.find("A closer look"), page.find("<h2>Evaluation</h2>"));
  EXPECT_EQ(CountOf(page, "data-chart=\"Confusion matrix\""), 2);
}

TEST(PageTest, AnEvaluationThatFailedSaysWhy) {
  ReportData data = Evaluated();
  v1::TrainingJob& job = data.evaluations[0].job;
  job.clear_evaluation_result();
  job.set_state(v1::JOB_STATE_FAILED);
  data.evaluations[0].confusion.reset();
  const std::string page = RenderPage(data);
  EXPECT_THAT(page, HasSubstr("This job is failed, so the images were not scored."));
}

TEST(PageTest, SaysWhereCalibrationWasNotRecorded) {
  const std::string page = RenderPage(Data());
  EXPECT_THAT(page, HasSubstr("Calibration and F1 were not recorded for this job."));
  EXPECT_THAT(page, Not(HasSubstr("Reliability diagram")));
}

TEST(PageTest, ChartsOfASectionShareOneLegend) {
  // The curves, what accuracy costs, and the one chart of resources with several lines.
  EXPECT_EQ(CountOf(RenderPage(Data()), "<ul class=\"legend\">"), 3);
}

TEST(PageTest, TablesBeginWithWhatMattersMost) {
  const std::string page = RenderPage(Data());
  EXPECT_THAT(page, HasSubstr("<th>configuration</th><th class=\"figure\">test accuracy</th>"));
  EXPECT_THAT(page, HasSubstr("<th>configuration</th><th class=\"figure\">seed</th>"
                              "<th class=\"figure\">test</th>"));
}

TEST(PageTest, NothingBreaksOutOfIt) {
  const std::string page = RenderPage(Data());
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("alert(1)</script>")));
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;"));
}

TEST(PageTest, SaysWhatMakesResultsDoubtful) {
  ReportData data = Data();
  data.comparison.configurations[0].trials[0].result->add_warnings("One class <none> is missing.");
  const std::string page = RenderPage(data);
  EXPECT_THAT(page, HasSubstr("<p class=\"warning\">One class &lt;none&gt; is missing. ("));
}

TEST(PageTest, FetchesNothing) {
  const std::string page = RenderPage(Data());
  for (const char* words : {"http://", "https://", "url(", "@import", "<link", "src=\"/"}) {
    EXPECT_THAT(page, Not(HasSubstr(words)));
  }
}

TEST(PageTest, AJobThatHasNotEndedAppearsAsWhatItIs) {
  ReportData data = Data();
  data.close_looks[0].job.clear_result();
  data.close_looks[0].job.clear_end_time();
  data.close_looks[0].job.set_state(v1::JOB_STATE_TRAINING);
  data.close_looks[0].confusion.reset();
  data.close_looks[0].resources.clear();
  const std::string page = RenderPage(data);
  EXPECT_THAT(page, HasSubstr("This job is training"));
  EXPECT_THAT(page, HasSubstr("Nothing was measured."));
}

TEST(PageTest, DrawsNetworksAndSaysWhichCannotBe) {
  ReportData data = Data();
  EXPECT_THAT(RenderPage(data), Not(HasSubstr("data-chart=\"Network\"")));
  v1::NetworkDescription network;
  network.add_layers()->set_name("output");
  data.networks = {{"mine", network, ""}, {"other", {}, kEvil}};
  const std::string page = RenderPage(data);
  EXPECT_EQ(CountOf(page, "data-chart=\"Network\""), 1);
  EXPECT_THAT(page, HasSubstr("other cannot be drawn: &lt;script&gt;"));
  data.networks.assign(kMaxNetworks + 2, data.networks[0]);
  EXPECT_EQ(CountOf(RenderPage(data), "data-chart=\"Network\""), kMaxNetworks);
  EXPECT_THAT(RenderPage(data), HasSubstr("2 more networks not drawn"));
}

TEST(PageTest, DrawsAccuracyAlongEachOptionThatDiffers) {
  EXPECT_THAT(RenderPage(Data()), Not(HasSubstr("Accuracy by")));
  std::vector<Trial> trials;
  for (int i = 0; i < 8; ++i) {
    Trial& trial = trials.emplace_back();
    trial.job = absl::StrCat("jobs/", i);
    trial.state = v1::RUN_STATE_COMPLETED;
    trial.spec.set_preset("cnn-1");
    trial.spec.set_seed(i % 2);
    trial.spec.set_kernel(i / 4 == 0 ? 5 : 3);
    trial.spec.set_activation(i / 2 % 2 == 0 ? v1::ACTIVATION_RELU : v1::ACTIVATION_GELU);
    trial.result.emplace();
    trial.result->set_test_accuracy(0.8 + 0.01 * i);
  }
  ReportData data = Data();
  data.comparison = Compare(trials);
  const std::string page = AxesSection(data);
  EXPECT_THAT(page, HasSubstr("data-chart=\"Accuracy by kernel\""));
  EXPECT_THAT(page, HasSubstr("data-chart=\"Accuracy by activation\""));
  EXPECT_EQ(CountOf(page, "class=\"single"), 16) << "each seed in each chart";
  EXPECT_EQ(CountOf(page, "<polyline"), 2) << "lines along numbers alone";
  EXPECT_THAT(page, HasSubstr(">gelu</text>"));
  EXPECT_THAT(page, HasSubstr("activation gelu"));
  EXPECT_LT(page.find(">3</text>"), page.find(">5</text>"));
}

TEST(ChartTest, LongWordsBelowTheAxisAreSlantedAndShortened) {
  Chart chart = Simple();
  chart.x.marks = {1, 2, 3, 4, 5, 6, 7, 8};
  chart.x.format = [](double) { return std::string("a-network-with-a-long-name"); };
  const std::string svg = RenderChart(chart);
  EXPECT_EQ(CountOf(svg, "rotate(-28)"), 8);
  EXPECT_THAT(svg, HasSubstr(">a-network-with-a-…<"));
}

TEST(PageTest, ShowsFiltersAndFeatureMaps) {
  const std::string page = RenderPage(Data());
  for (const char* words :
       {"Learned filters", "layer 1: 32 filters", "Of the first of 4 layers", "net@2",
        "Feature maps of one image per class", "block 2: 64 of", "Test image 7"}) {
    EXPECT_THAT(page, HasSubstr(words));
  }
  for (const char* png : {"filters", "maps", "input"}) {
    EXPECT_THAT(page, HasSubstr(PngAddress(png)));
  }
  ReportData data = Data();
  data.pictures->classes.clear();
  EXPECT_THAT(RenderPage(data), HasSubstr("no longer has the data set"));
  data.pictures.reset();
  EXPECT_THAT(RenderPage(data), Not(HasSubstr("Learned filters")));
}

}  // namespace
}  // namespace atelier::client::report
