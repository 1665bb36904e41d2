// The report's look at one job: classes, confusions, pictures, phases, resources.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/calls/arguments.h"
#include "client/calls/spec_fields.h"
#include "client/comparing/confusion_text.h"
#include "client/following/job_text.h"
#include "client/report/chart.h"
#include "client/report/confusion_map.h"
#include "client/report/html.h"
#include "client/report/page.h"
#include "client/terminal/display_text.h"
#include "client/terminal/figures.h"

namespace atelier::client::report {
namespace {

std::string Bar(double fraction) {
  return absl::StrFormat("%s<span class=\"bar\"><i style=\"width:%.1f%%\"></i></span>",
                         Percent(fraction, 1), std::clamp(fraction, 0.0, 1.0) * 100);
}

std::string ClassTable(const v1::ConfusionMatrix& matrix) {
  std::vector<std::vector<std::string>> rows;
  for (const int i : ShownClasses(matrix)) {
    const v1::ClassMetrics& metrics = matrix.class_metrics(i);
    rows.push_back({Escape(ClassName(matrix, i)), Bar(metrics.precision()), Bar(metrics.recall()),
                    Bar(metrics.f1()), Count(metrics.support())});
  }
  const int classes = matrix.class_metrics_size();
  const int shown = static_cast<int>(rows.size());
  std::string html = absl::StrCat(
      shown < classes ? "<h4>The classes of the lowest F1</h4>\n" : "<h4>By class</h4>\n",
      HtmlTable({{"class", false}, {"precision"}, {"recall"}, {"F1"}, {"images"}}, rows));
  if (shown < classes) {
    absl::StrAppend(&html, "<p class=\"note\">", Count(classes - shown),
                    " classes are left out; <code>atelier --output=csv confusion ",
                    Escape(Leaf(matrix.job())), " --classes</code> prints all.</p>\n");
  }
  return html;
}

using Bins = google::protobuf::RepeatedPtrField<v1::ReliabilityBin>;

// A dot for each bin that has images; its area grows with their number.
Series ReliabilitySeries(const Bins& bins, const std::string& name, int color) {
  constexpr double kLargest = 9, kSmallest = 2;
  Series series{.name = name, .color = color, .faint = false, .joined = true, .points = {}};
  std::int64_t images = 0;
  for (const v1::ReliabilityBin& bin : bins) images += bin.images();
  for (int i = 0; i < bins.size(); ++i) {
    const v1::ReliabilityBin& bin = bins[i];
    if (bin.images() == 0) continue;
    const double share = static_cast<double>(bin.images()) / static_cast<double>(images);
    const std::string title = absl::StrCat(
        name, "\nconfidence ", Percent(static_cast<double>(i) / bins.size(), 1), " to ",
        Percent(static_cast<double>(i + 1) / bins.size(), 1), ": ", Count(bin.images(), "image"),
        "\nmean confidence: ", Percent(bin.confidence()), "\naccuracy: ", Percent(bin.accuracy()));
    series.points.push_back({bin.confidence(), bin.accuracy(), bin.accuracy(), bin.accuracy(),
                             title, std::max(kSmallest, kLargest * std::sqrt(share))});
  }
  return series;
}

std::string ReliabilityChart(const v1::ConfusionMatrix& matrix) {
  const auto percent = [](double x) { return Percent(x, 0); };
  Chart chart{.title = "Reliability diagram",
              .x = {.title = "confidence", .from_zero = true, .format = percent},
              .y = {.title = "accuracy", .from_zero = true, .format = percent},
              .series = {{.name = "perfectly calibrated",
                          .color = kColors - 1,
                          .faint = true,
                          .points = {{0, 0, 0, 0, ""}, {1, 1, 1, 1, ""}}}}};
  chart.series.push_back(ReliabilitySeries(matrix.reliability(), "as computed", 0));
  if (!matrix.calibrated_reliability().empty()) {
    chart.series.push_back(
        ReliabilitySeries(matrix.calibrated_reliability(), "calibrated by temperature", 1));
  }
  return RenderChart(chart);
}

std::string MetricPairs(const v1::TrainingResult& result) {
  const auto both = [](double before, double after) {
    return absl::StrCat(Percent(before), ", calibrated ", Percent(after));
  };
  std::vector<std::pair<std::string, std::string>> pairs;
  pairs.emplace_back("macro F1", Percent(result.test_macro_f1()));
  pairs.emplace_back("weighted F1", Percent(result.test_weighted_f1()));
  pairs.emplace_back("temperature", absl::StrFormat("%.3f", result.temperature()));
  pairs.emplace_back("ECE, test", both(result.test_ece(), result.calibrated_test_ece()));
  pairs.emplace_back("ECE, validation",
                     both(result.validation_ece(), result.calibrated_validation_ece()));
  return HtmlPairs(pairs);
}

bool HasCalibration(const v1::TrainingJob& job, const v1::ConfusionMatrix& matrix) {
  return !matrix.reliability().empty() && job.result().has_temperature();
}

// How far probabilities can be believed: a diagram, and figures. Requires that it was recorded.
std::string Calibration(const v1::TrainingJob& job, const v1::ConfusionMatrix& matrix) {
  return absl::StrCat(
      "<div>", ReliabilityChart(matrix),
      "</div><div class=\"classes\"><h4>Calibration and F1</h4>\n", MetricPairs(job.result()),
      "<p class=\"note\">The test images by the probability of their predicted class, in ",
      matrix.reliability_size(),
      " bins; the larger a dot, the more images. Below the diagonal the model is too sure, above "
      "it not sure enough. ECE is the mean distance from the diagonal, weighted by images. The "
      "temperature was fitted on the validation images; <code>atelier classify --calibrated</code> "
      "applies it.</p></div>");
}

// Where there are many classes, the pairs beyond those whose images are shown.
std::string PairTable(const v1::ConfusionMatrix& matrix) {
  constexpr std::size_t kShown = 20;
  if (matrix.class_names_size() <= kMaxShownClasses) return "";
  const std::vector<Confusion> all = WorstConfusions(matrix);
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < std::min(all.size(), kShown); ++i) {
    const Confusion& pair = all[i];
    const double share = static_cast<double>(pair.count) / static_cast<double>(pair.support);
    rows.push_back({Escape(ClassName(matrix, pair.true_class)),
                    Escape(ClassName(matrix, pair.predicted_class)), Count(pair.count),
                    Percent(share, 1)});
  }
  if (rows.empty()) return "";
  std::string html = absl::StrCat(
      "<h4>Most often confused</h4>\n",
      HtmlTable({{"class", false}, {"taken for", false}, {"images"}, {"share"}}, rows));
  if (all.size() > rows.size()) {
    absl::StrAppend(&html, "<p class=\"note\">",
                    Count(static_cast<std::int64_t>(all.size() - rows.size()), "further pair"),
                    " of classes; <code>atelier --output=csv confusion ",
                    Escape(Leaf(matrix.job())), "</code> prints the whole matrix.</p>\n");
  }
  return html;
}

// What was measured on the test images.
std::string Metrics(const v1::TrainingJob& job, const v1::ConfusionMatrix& matrix) {
  const bool calibration = HasCalibration(job, matrix);
  return absl::StrCat(
      "<div class=\"charts look\"><div>", ConfusionMap(matrix), PairTable(matrix),
      "</div><div class=\"classes\">", ClassTable(matrix), "</div>",
      calibration ? Calibration(job, matrix) : "", "</div>\n",
      calibration ? ""
                  : "<p class=\"note\">Calibration and F1 were not recorded for this job.</p>\n");
}

std::string EvidencePicture(const WrongImage& image, const std::string& class_name) {
  if (!image.evidence.has_value()) return "";
  const std::string words = Escape(absl::StrCat("The evidence for ", class_name, " in it"));
  return absl::StrCat("<img class=\"evidence\" src=\"", PngAddress(image.evidence->png()),
                      "\" alt=\"", words, "\" title=\"", words, "\">");
}

// What the pictures below the images are.
std::string EvidenceNote(const std::vector<ConfusedPair>& pairs) {
  for (const ConfusedPair& pair : pairs) {
    for (const WrongImage& image : pair.images) {
      if (!image.evidence.has_value()) continue;
      const bool occlusion = image.evidence->method() == v1::EXPLANATION_METHOD_OCCLUSION;
      return absl::StrCat(
          "<p class=\"note\">Below an image, the evidence in it for the class it was taken for, "
          "by ",
          occlusion ? "occlusion: how far its probability falls when that place is covered, from "
                      "black over orange to light yellow; blue where it rises"
                    : "Grad-CAM of the last block, from black (none) over orange to light yellow",
          ". <code>atelier explain</code> draws others.</p>\n");
    }
  }
  return "";
}

std::string Pairs(const v1::ConfusionMatrix& matrix, const std::vector<ConfusedPair>& pairs) {
  if (pairs.empty()) return "<p class=\"note\">No test image was misclassified.</p>\n";
  std::string html =
      "<h4>Most often confused, with the misclassified test images of highest confidence</h4>\n"
      "<div class=\"pairs\">\n";
  for (const ConfusedPair& pair : pairs) {
    absl::StrAppend(&html, "<div><b>", Escape(ClassName(matrix, pair.true_class)), " → ",
                    Escape(ClassName(matrix, pair.predicted_class)), "</b> ", Count(pair.count),
                    pair.count == 1 ? " time" : " times", "<div class=\"images\">");
    for (const WrongImage& image : pair.images) {
      if (image.png.empty()) continue;
      const std::string words = absl::StrCat("Test image ", image.prediction.index(), ": ",
                                             ClassName(matrix, pair.true_class), ", taken for ",
                                             ClassName(matrix, pair.predicted_class), " with ",
                                             Percent(image.prediction.probability(), 1));
      absl::StrAppend(&html, "<figure><img src=\"", PngAddress(image.png), "\" alt=\"",
                      Escape(words), "\" title=\"", Escape(words), "\">",
                      EvidencePicture(image, ClassName(matrix, pair.predicted_class)),
                      "<figcaption>", Percent(image.prediction.probability(), 0),
                      "</figcaption></figure>");
    }
    absl::StrAppend(&html, "</div></div>\n");
  }
  return absl::StrCat(html, "</div>\n", EvidenceNote(pairs));
}

// A row per state that took time, on one clock.
std::string PhaseChart(const v1::TrainingJob& job, absl::Time now) {
  constexpr double kRow = 26, kLabels = 78, kLength = 320, kValue = 62;
  if (job.transitions_size() == 0) return "";
  const absl::Time begin = ToTime(job.transitions(0).time());
  const absl::Time end = job.has_end_time() ? ToTime(job.end_time()) : now;
  const double whole = std::max(absl::ToDoubleSeconds(end - begin), 1e-3);
  std::string rows;
  int row = 0;
  for (int i = 0; i < job.transitions_size(); ++i) {
    const absl::Time from = ToTime(job.transitions(i).time());
    const absl::Time to =
        i + 1 < job.transitions_size() ? ToTime(job.transitions(i + 1).time()) : end;
    if (i + 1 == job.transitions_size() && job.has_end_time()) break;
    const double x = absl::ToDoubleSeconds(from - begin) / whole * (kLength - kLabels - kValue);
    const double width =
        std::max(absl::ToDoubleSeconds(to - from) / whole * (kLength - kLabels - kValue), 1.5);
    const std::string state = StateText(job.transitions(i).state());
    absl::StrAppendFormat(
        &rows,
        "<text x=\"%g\" y=\"%g\" text-anchor=\"end\">%s</text><rect data-series=\"phases\" "
        "class=\"f%d\" x=\"%.1f\" y=\"%g\" width=\"%.1f\" height=\"%g\" rx=\"3\"><title>%s: %s. "
        "%s</title></rect><text x=\"%.1f\" y=\"%g\">%s</text>\n",
        kLabels - 8, kRow * row + 17, Escape(state), row % kColors, kLabels + x, kRow * row + 4,
        width, kRow - 8, Escape(state), Duration(to - from), Escape(job.transitions(i).message()),
        kLabels + x + width + 6, kRow * row + 17, Duration(to - from));
    ++row;
  }
  return absl::StrFormat(
      "<figure class=\"chart\" data-chart=\"Phases\"><figcaption>Phases</figcaption>\n<svg "
      "class=\"gantt\" viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"Phases\">\n%s</svg>"
      "</figure>\n",
      kLength, kRow * std::max(row, 1), rows);
}

template <typename Value>
Series SeriesOf(const CloseLook& look, const char* name, int color, Value value) {
  Series series{.name = name, .color = color, .faint = false, .joined = true, .points = {}};
  for (const Measured& measured : look.resources) {
    const double y = value(measured.sample);
    series.points.push_back({measured.seconds, y, y, y, ""});
  }
  return series;
}

std::string ResourceCharts(const CloseLook& look) {
  constexpr double kMiB = 1 << 20;
  using Sample = v1::ResourceSample;
  const auto plain = [](double x) { return absl::StrFormat("%.4g", x); };
  const Axis time{.title = "seconds since the job was created", .format = plain};
  const auto chart = [&](const char* title, const char* unit, std::vector<Series> series) {
    return RenderChart({.title = title,
                        .x = time,
                        .y = {.title = unit, .from_zero = true, .format = plain},
                        .series = std::move(series),
                        .compact = true});
  };
  return absl::StrCat(
      chart("Processor", "cores busy",
            {SeriesOf(look, "cores", 0,
                      [](const Sample& sample) { return sample.cpu_utilization(); })}),
      chart("Memory", "resident memory, MiB",
            {SeriesOf(look, "resident", 2,
                      [](const Sample& sample) {
                        return static_cast<double>(sample.resident_bytes()) / kMiB;
                      })}),
      chart(
          "Input and output", "MiB since the worker started",
          {SeriesOf(look, "read", 0,
                    [](const Sample& s) { return static_cast<double>(s.read_bytes()) / kMiB; }),
           SeriesOf(look, "written", 1,
                    [](const Sample& s) { return static_cast<double>(s.written_bytes()) / kMiB; }),
           SeriesOf(look, "received", 2,
                    [](const Sample& s) { return static_cast<double>(s.received_bytes()) / kMiB; }),
           SeriesOf(look, "sent", 3,
                    [](const Sample& s) { return static_cast<double>(s.sent_bytes()) / kMiB; })}));
}

}  // namespace

std::string CloseLookSection(const ReportData& data, const CloseLook& look) {
  const v1::TrainingJob& job = look.job;
  std::string html = absl::StrCat("<section>\n<h3>", Escape(NetworkTitle(job.spec())), ", seed ",
                                  job.spec().seed(), " · ", Escape(Leaf(job.name())), "</h3>\n");
  if (job.has_result()) {
    absl::StrAppend(&html, "<p>", Escape(StateText(job.state())), ": test accuracy ",
                    Percent(job.result().test_accuracy()),
                    job.result().has_test_top5_accuracy()
                        ? absl::StrCat(", top-5 ", Percent(job.result().test_top5_accuracy()))
                        : "",
                    ", test loss ", Loss(job.result().test_loss()), ", epoch ",
                    job.result().best_epoch(), " of ", job.result().epochs_trained(),
                    " chosen.</p>\n");
  } else {
    const std::string why =
        job.transitions().empty() ? "" : job.transitions(job.transitions_size() - 1).message();
    absl::StrAppend(&html, "<p class=\"warning\">This job is ", Escape(StateText(job.state())),
                    ", so the test images were not scored. ", Escape(why), "</p>\n");
  }
  if (look.confusion.has_value()) {
    absl::StrAppend(&html, Metrics(job, *look.confusion), Pairs(*look.confusion, look.pairs));
  }
  absl::StrAppend(&html, "<h4>Time and resources</h4>\n<div class=\"charts small\">\n",
                  PhaseChart(job, data.made), ResourceCharts(look), "</div>\n</section>\n");
  return html;
}

}  // namespace atelier::client::report
