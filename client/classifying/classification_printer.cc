#include "client/classifying/classification_printer.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/calls/arguments.h"
#include "client/terminal/display_text.h"
#include "client/terminal/figures.h"
#include "client/terminal/output.h"
#include "client/terminal/table.h"

namespace atelier::client {
namespace {

std::string CalibratedText(const v1::ClassifyResponse& response) {
  if (!response.has_temperature()) return "";
  return absl::StrFormat(", calibrated at temperature %.3f", response.temperature());
}

}  // namespace

ClassificationPrinter::ClassificationPrinter(Session* session, bool brief)
    : session_(session), brief_(brief) {
  if (session->format() == OutputFormat::kCsv) {
    session->Print(
        CsvLine({"image", "true_class", "rank", "class", "probability", "model_version"}));
  }
}

void ClassificationPrinter::Print(const v1::ClassifyResponse& head, const ClassifiedImage& image) {
  const bool changed = version_ != head.model_version();
  version_ = head.model_version();
  ++images_;
  right_ += IsRight(image) ? 1 : 0;
  if (!image.classification.classes().empty()) ++classes_[image.classification.classes(0).name()];
  switch (session_->format()) {
    case OutputFormat::kText:
      // An alias may be given to another version meanwhile.
      if (changed) {
        session_->Print(absl::StrCat("By ", ShortModel(version_), CalibratedText(head), "\n",
                                     brief_ ? "\n" : ""));
      }
      PrintText(image);
      break;
    case OutputFormat::kJson: {
      v1::ClassifyResponse line = head;
      line.clear_classifications();
      *line.add_classifications() = image.classification;
      std::vector<std::pair<std::string, std::string>> texts = {{"image", image.title}};
      if (!image.true_class.empty()) texts.emplace_back("true_class", image.true_class);
      session_->Print(JsonLine(texts, line));
      break;
    }
    case OutputFormat::kCsv:
      PrintCsv(image);
      break;
  }
}

void ClassificationPrinter::PrintText(const ClassifiedImage& image) {
  const int width = session_->terminal().width();
  if (!brief_) {
    session_->Print("\n" + ClassificationText(image, session_->style(), width));
    return;
  }
  for (const auto& entry : image.classification.classes()) {
    class_width_ = std::max(class_width_, DisplayWidth(entry.name()));
  }
  session_->Print(ClassificationLine(image, session_->style(), class_width_, width));
}

void ClassificationPrinter::PrintCsv(const ClassifiedImage& image) {
  int rank = 0;
  for (const auto& entry : image.classification.classes()) {
    session_->Print(CsvLine({image.title, image.true_class, absl::StrCat(++rank), entry.name(),
                             Exact(entry.probability()), version_}));
  }
}

void ClassificationPrinter::PrintSummary(absl::Duration took) {
  if (!session_->text() || !brief_ || images_ == 0) return;
  const double rate = static_cast<double>(images_) / std::max(absl::ToDoubleSeconds(took), 1e-3);
  session_->Print(absl::StrFormat("\n%s in %s, %s images/s\n", Count(images_, "image"),
                                  Duration(took), Count(static_cast<std::int64_t>(rate))));
  std::vector<std::pair<std::string, std::int64_t>> classes(classes_.begin(), classes_.end());
  std::stable_sort(classes.begin(), classes.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  Table table({{""}, {"", Table::Align::kRight}, {"", Table::Align::kRight}});
  for (const auto& [name, count] : classes) {
    const double share = static_cast<double>(count) / static_cast<double>(images_);
    table.AddRow({"  " + name, Count(count), {Percent(share, 1), Ink::kDim}});
  }
  session_->Print(table.Render(session_->style(), session_->terminal().width()));
}

}  // namespace atelier::client
