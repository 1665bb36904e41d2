#include "client/following/scoring_text.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "client/calls/arguments.h"
#include "client/following/job_text.h"
#include "client/terminal/display_text.h"
#include "client/terminal/figures.h"
#include "client/terminal/output.h"

namespace atelier::client {
namespace {

// Rows of a name and a value.
class ValueRows {
 public:
  void Add(const char* title, const std::string& value) {
    table_.AddRow({{absl::StrCat("  ", title), Ink::kDim}, value});
  }
  template <typename Spec>
  void AddResources(const Spec& spec) {
    Add("resources", absl::StrCat(Count(spec.cores(), "core"), ", ", Bytes(spec.memory_bytes())));
  }
  Table Take() && { return std::move(table_); }

 private:
  Table table_{{{""}, {""}}};
};

std::string ClassText(int label, const v1::GetPredictionsResponse& found) {
  return label >= 0 && label < found.class_names_size() ? found.class_names(label)
                                                        : absl::StrCat("class ", label);
}

}  // namespace

std::string SplitText(v1::DatasetSplit split) {
  return EnumWord(v1::DatasetSplit_descriptor(), split);
}

std::string EvaluationTitle(const v1::EvaluationSpec& spec) {
  return absl::StrCat(ShortModel(spec.model_version()), " on the ", SplitText(spec.split()),
                      " images of ", spec.dataset());
}

std::string CheckTitle(const v1::CheckSpec& spec) {
  return absl::StrCat("check of ", spec.dataset(), ", labels of its ", SplitText(spec.split()),
                      " images, ", Count(spec.folds(), "fold"), ", seed ", spec.seed());
}

Table EvaluationTable(const v1::EvaluationSpec& spec) {
  ValueRows values;
  values.Add("model", ShortModel(spec.model_version()));
  values.Add("data set", spec.dataset());
  values.Add("split", SplitText(spec.split()));
  values.AddResources(spec);
  return std::move(values).Take();
}

Table CheckTable(const v1::CheckSpec& spec) {
  ValueRows values;
  values.Add("data set", spec.dataset());
  values.Add("labels of", SplitText(spec.split()));
  values.Add("folds", absl::StrCat(spec.folds()));
  values.Add("seed", absl::StrCat(spec.seed()));
  values.AddResources(spec);
  return std::move(values).Take();
}

namespace {

Table EvaluationResultTable(const v1::EvaluationResult& result) {
  ValueRows values;
  values.Add("images", Count(result.images()));
  values.Add("accuracy", Percent(result.accuracy()));
  if (result.has_top5_accuracy()) values.Add("top-5 accuracy", Percent(result.top5_accuracy()));
  values.Add("loss", Loss(result.loss()));
  values.Add("F1", absl::StrCat("macro ", Percent(result.macro_f1()), ", weighted ",
                                Percent(result.weighted_f1())));
  std::string calibration = absl::StrCat("ECE ", Percent(result.ece()));
  if (result.has_calibrated_ece()) {
    absl::StrAppend(&calibration,
                    absl::StrFormat("; calibrated, at temperature %.3f, ", result.temperature()),
                    Percent(result.calibrated_ece()));
  }
  values.Add("calibration", calibration);
  values.Add("data", absl::StrCat("SHA-256 ", result.dataset_checksum().substr(0, 12)));
  values.Add("time", Duration(absl::Seconds(result.seconds())));
  return std::move(values).Take();
}

Table CheckResultTable(const v1::CheckResult& result) {
  ValueRows values;
  values.Add("images", Count(result.images()));
  values.Add("suspicious", Count(result.suspicious_count(), "label"));
  values.Add("agreement", absl::StrCat(Percent(result.agreement()),
                                       " of the labels are what the networks guess"));
  values.Add("data", absl::StrCat("SHA-256 ", result.dataset_checksum().substr(0, 12)));
  values.Add("time", Duration(absl::Seconds(result.seconds())));
  return std::move(values).Take();
}

}  // namespace

google::protobuf::RepeatedPtrField<std::string> EvaluationNotes(
    const v1::EvaluationResult& result) {
  google::protobuf::RepeatedPtrField<std::string> notes;
  if (!result.classes_without_images().empty()) {
    notes.Add(absl::StrCat("There are no images of ", NameList(result.classes_without_images()),
                           "; the mean F1 is over the other classes."));
  }
  notes.MergeFrom(result.warnings());
  return notes;
}

std::string ScoringResultText(const v1::TrainingJob& job, const Style& style, int width) {
  if (job.has_evaluation_result()) {
    const v1::EvaluationResult& result = job.evaluation_result();
    return EvaluationResultTable(result).Render(style, width) +
           NotesText(EvaluationNotes(result), style);
  }
  if (!job.has_check_result()) return "";
  return CheckResultTable(job.check_result()).Render(style, width) +
         NotesText(job.check_result().findings(), style);
}

Table PredictionTable(const v1::GetPredictionsResponse& found, const char* true_title,
                      const char* predicted_title) {
  using Align = Table::Align;
  Table table({{"  image", Align::kRight},
               {true_title},
               {"", Align::kRight},
               {predicted_title},
               {"", Align::kRight}});
  for (const v1::Prediction& made : found.predictions()) {
    table.AddRow({absl::StrCat("  ", made.index()),
                  ClassText(made.true_class(), found),
                  {Percent(made.true_probability(), 1), Ink::kDim},
                  ClassText(made.predicted_class(), found),
                  {Percent(made.probability(), 1), Ink::kDim}});
  }
  return table;
}

std::string PredictionCsv(const v1::GetPredictionsResponse& found) {
  std::string csv =
      CsvLine({"index", "true_class", "true_probability", "predicted_class", "probability"});
  for (const v1::Prediction& made : found.predictions()) {
    absl::StrAppend(
        &csv, CsvLine({absl::StrCat(made.index()), ClassText(made.true_class(), found),
                       Exact(made.true_probability()), ClassText(made.predicted_class(), found),
                       Exact(made.probability())}));
  }
  return csv;
}

}  // namespace atelier::client
