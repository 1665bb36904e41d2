#include "client/report/scored_split.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/calls/arguments.h"
#include "client/comparing/confusion_text.h"
#include "client/report/chart.h"
#include "client/report/confusion_map.h"
#include "client/report/html.h"
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

// How far probabilities can be believed: a diagram, and figures. Requires that it was recorded.
std::string Calibration(const v1::ConfusionMatrix& matrix, const ScoredSplit& split) {
  return absl::StrCat(
      "<div>", ReliabilityChart(matrix),
      "</div><div class=\"classes\"><h4>Calibration and F1</h4>\n", HtmlPairs(split.figures),
      "<p class=\"note\">The ", split.name,
      " images by the probability of their predicted class, in ", matrix.reliability_size(),
      " bins; the larger a dot, the more images. Below the diagonal the model is too sure, above "
      "it not sure enough. ECE is the mean distance from the diagonal, weighted by images.",
      matrix.calibrated_reliability().empty()
          ? ""
          : " The temperature was fitted on the validation images of the training; <code>atelier "
            "classify --calibrated</code> applies it.",
      "</p></div>");
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

// What was measured on the images.
std::string Metrics(const v1::ConfusionMatrix& matrix, const ScoredSplit& split) {
  const bool calibration = !matrix.reliability().empty() && !split.figures.empty();
  return absl::StrCat(
      "<div class=\"charts look\"><div>", ConfusionMap(matrix), PairTable(matrix),
      "</div><div class=\"classes\">", ClassTable(matrix), "</div>",
      calibration ? Calibration(matrix, split) : "", "</div>\n",
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

std::string WrongImageFigure(const v1::ConfusionMatrix& matrix, const ConfusedPair& pair,
                             const WrongImage& image, const std::string& split) {
  const std::string confidence = Percent(image.prediction.probability(), 1);
  const std::string words =
      Escape(absl::StrCat("Image ", image.prediction.index(), " of the ", split,
                          " images: ", ClassName(matrix, pair.true_class), ", taken for ",
                          ClassName(matrix, pair.predicted_class), " with ", confidence));
  return absl::StrCat(
      "<figure><img src=\"", PngAddress(image.png), "\" alt=\"", words, "\" title=\"", words, "\">",
      EvidencePicture(image, ClassName(matrix, pair.predicted_class)), "<figcaption>",
      Percent(image.prediction.probability(), 0), "</figcaption></figure>");
}

std::string Pairs(const v1::ConfusionMatrix& matrix, const std::vector<ConfusedPair>& pairs,
                  const std::string& split) {
  if (pairs.empty()) {
    return absl::StrCat("<p class=\"note\">No ", split, " image was misclassified.</p>\n");
  }
  std::string html = absl::StrCat("<h4>Most often confused, with the misclassified ", split,
                                  " images of highest confidence</h4>\n<div class=\"pairs\">\n");
  for (const ConfusedPair& pair : pairs) {
    absl::StrAppend(&html, "<div><b>", Escape(ClassName(matrix, pair.true_class)), " → ",
                    Escape(ClassName(matrix, pair.predicted_class)), "</b> ", Count(pair.count),
                    pair.count == 1 ? " time" : " times", "<div class=\"images\">");
    for (const WrongImage& image : pair.images) {
      if (!image.png.empty()) {
        absl::StrAppend(&html, WrongImageFigure(matrix, pair, image, split));
      }
    }
    absl::StrAppend(&html, "</div></div>\n");
  }
  return absl::StrCat(html, "</div>\n", EvidenceNote(pairs));
}

}  // namespace

std::string ScoredSplitHtml(const CloseLook& look, const ScoredSplit& split) {
  if (!look.confusion.has_value()) return "";
  return Metrics(*look.confusion, split) + Pairs(*look.confusion, look.pairs, split.name);
}

}  // namespace atelier::client::report
