// The report's look at one job: what its model made of the test images, phases, resources.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/calls/arguments.h"
#include "client/calls/spec_fields.h"
#include "client/following/job_text.h"
#include "client/report/chart.h"
#include "client/report/html.h"
#include "client/report/page.h"
#include "client/report/scored_split.h"
#include "client/terminal/figures.h"

namespace atelier::client::report {
namespace {

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

std::vector<std::pair<std::string, std::string>> FiguresOf(const v1::TrainingJob& job) {
  const v1::TrainingResult& result = job.result();
  if (!result.has_temperature()) return {};
  const auto both = [](double before, double after) {
    return absl::StrCat(Percent(before), ", calibrated ", Percent(after));
  };
  return {{"macro F1", Percent(result.test_macro_f1())},
          {"weighted F1", Percent(result.test_weighted_f1())},
          {"temperature", absl::StrFormat("%.3f", result.temperature())},
          {"ECE, test", both(result.test_ece(), result.calibrated_test_ece())},
          {"ECE, validation", both(result.validation_ece(), result.calibrated_validation_ece())}};
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
  absl::StrAppend(&html, ScoredSplitHtml(look, {.name = "test", .figures = FiguresOf(job)}),
                  TimeAndResources(data, look), "</section>\n");
  return html;
}

std::string TimeAndResources(const ReportData& data, const CloseLook& look) {
  return absl::StrCat("<h4>Time and resources</h4>\n<div class=\"charts small\">\n",
                      PhaseChart(look.job, data.made), ResourceCharts(look), "</div>\n");
}

}  // namespace atelier::client::report
