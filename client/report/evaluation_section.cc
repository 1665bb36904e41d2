// The report's section about evaluations: what a model's answers for another data set are like.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/calls/arguments.h"
#include "client/following/job_text.h"
#include "client/following/scoring_text.h"
#include "client/report/html.h"
#include "client/report/page.h"
#include "client/report/scored_split.h"
#include "client/terminal/figures.h"

namespace atelier::client::report {
namespace {

std::string Tile(const std::string& value, const std::string& meaning) {
  return absl::StrCat("<li><b>", Escape(value), "</b><span>", Escape(meaning), "</span></li>\n");
}

std::string Tiles(const v1::EvaluationResult& result) {
  return absl::StrCat(
      "<ul class=\"tiles\">\n", Tile(Percent(result.accuracy()), "accuracy"),
      result.has_top5_accuracy() ? Tile(Percent(result.top5_accuracy()), "top-5 accuracy") : "",
      Tile(Loss(result.loss()), "loss"), Tile(Percent(result.macro_f1()), "macro F1"),
      Tile(Count(result.images()), "images"), "</ul>\n");
}

std::vector<std::pair<std::string, std::string>> FiguresOf(const v1::EvaluationResult& result) {
  std::vector<std::pair<std::string, std::string>> figures = {
      {"macro F1", Percent(result.macro_f1())}, {"weighted F1", Percent(result.weighted_f1())}};
  if (result.has_temperature()) {
    figures.emplace_back("temperature", absl::StrFormat("%.3f", result.temperature()));
  }
  figures.emplace_back("ECE", result.has_calibrated_ece()
                                  ? absl::StrCat(Percent(result.ece()), ", calibrated ",
                                                 Percent(result.calibrated_ece()))
                                  : Percent(result.ece()));
  return figures;
}

std::string Warnings(const v1::EvaluationResult& result) {
  std::string html;
  for (const std::string& note : EvaluationNotes(result)) {
    absl::StrAppend(&html, "<p class=\"warning\">", Escape(note), "</p>\n");
  }
  return html;
}

// Why there is no result.
std::string Unfinished(const v1::TrainingJob& job) {
  const std::string why =
      job.transitions().empty() ? "" : job.transitions(job.transitions_size() - 1).message();
  return absl::StrCat("<p class=\"warning\">This job is ", Escape(StateText(job.state())),
                      ", so the images were not scored. ", Escape(why), "</p>\n");
}

std::string Evaluation(const ReportData& data, const CloseLook& look) {
  const v1::TrainingJob& job = look.job;
  const v1::EvaluationResult& result = job.evaluation_result();
  return absl::StrCat(
      "<section>\n<h3>", Escape(EvaluationTitle(job.evaluation())), " · ", Escape(Leaf(job.name())),
      "</h3>\n", job.has_evaluation_result() ? Tiles(result) + Warnings(result) : Unfinished(job),
      ScoredSplitHtml(look,
                      {.name = SplitText(job.evaluation().split()), .figures = FiguresOf(result)}),
      TimeAndResources(data, look), "</section>\n");
}

}  // namespace

std::string EvaluationSection(const ReportData& data) {
  if (data.evaluations.empty()) return "";
  std::string html =
      absl::StrCat("<h2>", data.evaluations.size() == 1 ? "Evaluation" : "Evaluations", "</h2>\n");
  for (const CloseLook& look : data.evaluations) absl::StrAppend(&html, Evaluation(data, look));
  return html;
}

}  // namespace atelier::client::report
