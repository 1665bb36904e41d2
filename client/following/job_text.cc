#include "client/following/job_text.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/calls/arguments.h"
#include "client/calls/spec_fields.h"
#include "client/terminal/figures.h"
#include "google/protobuf/util/time_util.h"
#include "proto/lifecycle/lifecycle.h"

namespace atelier::client {
namespace {

// Fields of TrainingResult that earlier versions did not record.
constexpr const char* kRecordedSince[] = {"test_top5_accuracy",  "test_macro_f1",
                                          "test_weighted_f1",    "test_ece",
                                          "calibrated_test_ece", "temperature"};

// The value of a field that may be absent; then empty.
std::string OptionalFigure(const v1::TrainingResult& result, const char* name) {
  const auto* field = v1::TrainingResult::descriptor()->FindFieldByName(name);
  const auto* reflection = v1::TrainingResult::GetReflection();
  return reflection->HasField(result, field) ? Exact(reflection->GetDouble(result, field)) : "";
}

// Names of layers, the middle left out where there are many.
std::string LayerNames(const google::protobuf::RepeatedPtrField<std::string>& names) {
  constexpr int kMost = 6;
  if (names.size() <= kMost) return absl::StrJoin(names, ", ");
  return absl::StrCat(names[0], ", ", names[1], " … ", names[names.size() - 1], " (",
                      Count(names.size(), "layer"), ")");
}

// What a stopped job did not come to, a sentence's end.
const char* NothingMade(const v1::TrainingJob& job) {
  switch (KindOf(job)) {
    case JobKind::kImport:
      return "; no data set was made";
    case JobKind::kEvaluation:
    case JobKind::kCheck:
      return "; nothing of it is kept";
    case JobKind::kTraining:
      break;
  }
  return job.has_result() ? "" : "; no epoch was completed, so there is no model";
}

std::string TimeText(bool present, const google::protobuf::Timestamp& time) {
  return present ? google::protobuf::util::TimeUtil::ToString(time) : "";
}

}  // namespace

std::string StateText(v1::JobState state) { return EnumWord(v1::JobState_descriptor(), state); }

Ink InkOf(v1::JobState state) {
  switch (state) {
    case v1::JOB_STATE_COMPLETED:
      return Ink::kGreen;
    case v1::JOB_STATE_FAILED:
      return Ink::kRed;
    case v1::JOB_STATE_STOPPED:
    case v1::JOB_STATE_STOPPING:
      return Ink::kYellow;
    case v1::JOB_STATE_QUEUED:
      return Ink::kDim;
    default:
      return Ink::kCyan;
  }
}

std::string KindText(const v1::TrainingJob& job) {
  switch (KindOf(job)) {
    case JobKind::kImport:
      return "import";
    case JobKind::kEvaluation:
      return "evaluation";
    case JobKind::kCheck:
      return "check";
    case JobKind::kTraining:
      break;
  }
  return NetworkTitle(job.spec());
}

std::string JobDataset(const v1::TrainingJob& job) {
  return job.has_import_result() ? ShortDataset(job.import_result().dataset_version())
                                 : atelier::DatasetOf(job);
}

std::string ProgressText(const v1::TrainingJob& job) {
  if (KindOf(job) != JobKind::kTraining) {
    const v1::ImportResult& result = job.import_result();
    const std::int64_t imported =
        result.training_images() + result.validation_images() + result.test_images();
    // One of them at most is there.
    const std::int64_t images =
        imported + job.evaluation_result().images() + job.check_result().images();
    return Count(images > 0 ? images : job.progress().images(), "image");
  }
  const int epoch = job.has_result() ? job.result().epochs_trained() : job.progress().epoch();
  return absl::StrCat(epoch, "/", job.spec().epochs());
}

std::string ImageProgress(const v1::Progress& progress) {
  const std::int64_t total = progress.total_images();
  if (total == 0) return Count(progress.images(), "image");
  return absl::StrCat(Count(progress.images()), " of ", Count(total, "image"));
}

std::vector<std::string> JobCsvNames() {
  std::vector<std::string> names = {"name",
                                    "state",
                                    "preset",
                                    "dataset",
                                    "seed",
                                    "epoch",
                                    "epochs",
                                    "test_accuracy",
                                    "test_loss",
                                    "best_epoch",
                                    "validation_loss",
                                    "validation_accuracy",
                                    "parameter_count",
                                    "training_seconds",
                                    "images_per_second",
                                    "model_version",
                                    "create_time",
                                    "end_time",
                                    "dataset_checksum"};
  names.insert(names.end(), std::begin(kRecordedSince), std::end(kRecordedSince));
  return names;
}

std::vector<std::string> JobCsvValues(const v1::TrainingJob& job) {
  const v1::TrainingSpec& spec = job.spec();
  const v1::TrainingResult& result = job.result();
  const auto figure = [&](double value) { return job.has_result() ? Exact(value) : ""; };
  const auto whole = [&](std::int64_t value) {
    return job.has_result() ? absl::StrCat(value) : "";
  };
  // Only trainings have a seed and epochs.
  const auto trained = [&](std::int64_t value) {
    return KindOf(job) == JobKind::kTraining ? absl::StrCat(value) : "";
  };
  std::vector<std::string> values = {
      job.name(),
      StateText(job.state()),
      KindText(job),
      JobDataset(job),
      trained(spec.seed()),
      trained(job.has_result() ? result.epochs_trained() : job.progress().epoch()),
      trained(spec.epochs()),
      figure(result.test_accuracy()),
      figure(result.test_loss()),
      whole(result.best_epoch()),
      figure(result.validation_loss()),
      figure(result.validation_accuracy()),
      whole(result.parameter_count()),
      figure(result.training_seconds()),
      figure(result.images_per_second()),
      result.model_version(),
      TimeText(job.has_create_time(), job.create_time()),
      TimeText(job.has_end_time(), job.end_time()),
      result.dataset_checksum()};
  for (const char* name : kRecordedSince) values.push_back(OptionalFigure(result, name));
  return values;
}

std::vector<std::string> EpochCsvNames() {
  return {"epoch",
          "training_loss",
          "training_accuracy",
          "validation_loss",
          "validation_accuracy",
          "learning_rate",
          "seconds",
          "images_per_second",
          "best",
          "validation_macro_f1"};
}

std::vector<std::string> EpochCsvValues(const v1::EpochMetrics& epoch) {
  return {absl::StrCat(epoch.epoch()),
          Exact(epoch.training_loss()),
          Exact(epoch.training_accuracy()),
          Exact(epoch.validation_loss()),
          Exact(epoch.validation_accuracy()),
          Exact(epoch.learning_rate()),
          Exact(epoch.seconds()),
          Exact(epoch.images_per_second()),
          epoch.best() ? "true" : "false",
          Exact(epoch.validation_macro_f1())};
}

std::string Ending(const v1::TrainingJob& job, const Style& style) {
  const std::string after =
      absl::StrCat(" after ", Duration(ToTime(job.end_time()) - ToTime(job.create_time())));
  const std::string message =
      job.transitions().empty() ? "" : job.transitions().rbegin()->message();
  switch (job.state()) {
    case v1::JOB_STATE_COMPLETED:
      return style.Paint(Ink::kBoldGreen, "✔ completed") + after;
    case v1::JOB_STATE_FAILED:
      return absl::StrCat(style.Paint(Ink::kBoldRed, "✘ failed"), after, ": ", message);
    case v1::JOB_STATE_STOPPED:
      return absl::StrCat(style.Paint(Ink::kYellow, "■ stopped"), after, NothingMade(job));
    default:
      return StateText(job.state());
  }
}

std::string ServingText(const v1::TrainingResult& result) {
  return absl::StrCat(EnumWord(v1::Precision_descriptor(), result.serving_precision()),
                      "; validation with bfloat16 ", Percent(result.bfloat16_validation_accuracy()),
                      ", with float32 ", Percent(result.validation_accuracy()));
}

std::string PathText(const v1::TrainingResult& result) {
  if (result.compute_path() == v1::COMPUTE_PATH_UNSPECIFIED) return "not recorded";
  return EnumWord(v1::ComputePath_descriptor(), result.compute_path());
}

std::string F1Text(const v1::TrainingResult& result) {
  if (!result.has_test_macro_f1()) return "not recorded";
  return absl::StrCat("macro ", Percent(result.test_macro_f1()), ", weighted ",
                      Percent(result.test_weighted_f1()));
}

std::string CalibrationText(const v1::TrainingResult& result) {
  if (!result.has_temperature()) return "not recorded";
  return absl::StrFormat("ECE %s; calibrated, at temperature %.3f, %s", Percent(result.test_ece()),
                         result.temperature(), Percent(result.calibrated_test_ece()));
}

std::string StartText(const v1::TrainingStart& start) {
  std::vector<std::string> parts;
  if (!start.continued_job().empty()) {
    parts.push_back(absl::StrCat("continues ", Leaf(start.continued_job()), " after epoch ",
                                 start.continued_epochs()));
  }
  if (!start.model_version().empty()) {
    parts.push_back(absl::StrCat(parts.empty() ? "starts from " : "which started from ",
                                 ShortModel(start.model_version())));
    parts.push_back(absl::StrCat("taken: ", LayerNames(start.taken_layers())));
    parts.push_back(absl::StrCat(
        "new: ", start.new_layers().empty() ? "none" : LayerNames(start.new_layers())));
  }
  if (!start.frozen_layers().empty()) {
    parts.push_back(absl::StrCat("frozen: ", LayerNames(start.frozen_layers())));
  }
  return absl::StrJoin(parts, "; ");
}

Table ResultTable(const v1::TrainingJob& job) {
  const v1::TrainingResult& result = job.result();
  const std::string trainable =
      result.trainable_parameter_count() == result.parameter_count()
          ? "all of them trainable"
          : Count(result.trainable_parameter_count()) + " of them trainable";
  Table table({{""}, {""}});
  if (result.has_start()) table.AddRow({{"  start", Ink::kDim}, StartText(result.start())});
  table.AddRow({{"  test accuracy", Ink::kDim}, {Percent(result.test_accuracy()), Ink::kBold}});
  if (result.has_test_top5_accuracy()) {
    table.AddRow({{"  top-5 accuracy", Ink::kDim}, Percent(result.test_top5_accuracy())});
  }
  table.AddRow({{"  test loss", Ink::kDim}, Loss(result.test_loss())});
  table.AddRow({{"  validation", Ink::kDim},
                absl::StrCat(Percent(result.validation_accuracy()), ", loss ",
                             Loss(result.validation_loss()))});
  table.AddRow({{"  best epoch", Ink::kDim},
                absl::StrCat(result.best_epoch(), " of ", result.epochs_trained(), " trained",
                             result.epochs_trained() < job.spec().epochs()
                                 ? absl::StrCat(" (at most ", job.spec().epochs(), ")")
                                 : "")});
  table.AddRow({{"  parameters", Ink::kDim},
                absl::StrCat(Count(result.parameter_count()), ", ", trainable)});
  table.AddRow({{"  training", Ink::kDim},
                absl::StrCat(Duration(absl::Seconds(result.training_seconds())), ", ",
                             Count(std::llround(result.images_per_second())), " images/s")});
  if (result.has_bfloat16_validation_accuracy()) {
    table.AddRow({{"  served in", Ink::kDim}, ServingText(result)});
  }
  if (!result.dataset_checksum().empty()) {
    table.AddRow(
        {{"  data", Ink::kDim}, absl::StrCat("SHA-256 ", result.dataset_checksum().substr(0, 12))});
  }
  if (!result.model_version().empty()) {
    table.AddRow({{"  model", Ink::kDim}, ShortModel(result.model_version())});
  }
  return table;
}

std::string ImportNotes(const v1::ImportResult& result, const Style& style) {
  constexpr int kNamed = 10;
  std::string text;
  if (result.unreadable_count() > 0) {
    absl::StrAppend(
        &text, "\n  ",
        style.Paint(Ink::kYellow,
                    absl::StrCat(Count(result.unreadable_count(), "unreadable file"), " left out")),
        "\n");
  }
  for (int i = 0; i < std::min(kNamed, result.unreadable_size()); ++i) {
    absl::StrAppend(&text, "    ", result.unreadable(i).name(), ": ", result.unreadable(i).reason(),
                    "\n");
  }
  if (result.unreadable_count() > kNamed) text += "    …; the job's log has all of them\n";
  return text;
}

std::string NotesText(const google::protobuf::RepeatedPtrField<std::string>& notes,
                      const Style& style) {
  std::string text;
  for (const std::string& note : notes) {
    absl::StrAppend(&text, "  ", style.Paint(Ink::kYellow, "note"), "  ", note, "\n");
  }
  return text.empty() ? text : absl::StrCat("\n", text);
}

std::string EndMark(const v1::TrainingResult& result) {
  if (result.diverged()) return " (diverged)";
  return result.stopped_early() ? " (stopped early)" : "";
}

}  // namespace atelier::client
