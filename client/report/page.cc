#include "client/report/page.h"

#include "absl/strings/str_cat.h"
#include "client/report/html.h"
#include "client/terminal/figures.h"

namespace atelier::client::report {
namespace {

std::string CloseLooks(const ReportData& data) {
  if (data.close_looks.empty()) return "";
  std::string html = "<h2>A closer look</h2>\n";
  if (data.comparison.trials() > data.close_looks.size()) {
    absl::StrAppend(
        &html, "<p class=\"note\">For each configuration, the run with the lowest validation loss",
        data.comparison.configurations.size() > data.close_looks.size()
            ? absl::StrCat("; the ", data.close_looks.size(), " configurations that did best")
            : "",
        ".</p>\n");
  }
  for (const CloseLook& look : data.close_looks) {
    absl::StrAppend(&html, CloseLookSection(data, look));
  }
  return html;
}

std::string Trainings(const ReportData& data) {
  if (data.comparison.trials() == 0) return "";
  return absl::StrCat(SummarySection(data), ComparisonSection(data), AxesSection(data),
                      CurvesSection(data), TradeOffSection(data), NetworkSection(data),
                      RunsSection(data), CloseLooks(data), PicturesSection(data));
}

}  // namespace

std::string RenderPage(const ReportData& data) {
  const std::string title = Escape(data.title);
  return absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n"
      // Whatever a name in it may look like: nothing runs, nothing is fetched.
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
      "style-src 'unsafe-inline'\">\n<title>",
      title, " – Atelier</title>\n<style>\n", kPalette, kStyle, kNetworkStyle,
      "</style>\n</head>\n<body>\n<main>\n", "<header><p class=\"kicker\">Atelier · ",
      data.comparison.trials() == 0 ? "evaluation" : "training", " report</p><h1>", title,
      "</h1></header>\n", Trainings(data), EvaluationSection(data), RepeatSection(data),
      "<footer>Made ", Escape(DateTime(data.made)), " by atelier ", Escape(data.client_version),
      "</footer>\n</main>\n</body>\n</html>\n");
}

}  // namespace atelier::client::report
