#include "client/commands/predictions.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "client/calls/arguments.h"
#include "client/following/scoring_text.h"
#include "client/terminal/figures.h"
#include "proto/lifecycle/lifecycle.h"

namespace atelier::client {
namespace {

// As wide and as high as a sheet may be.
constexpr int kColumns = 10;
constexpr int kMaxRows = 40;

// How many there are in all.
std::int64_t CountOf(const v1::TrainingJob& job) {
  if (job.has_check_result()) return job.check_result().suspicious_count();
  const v1::EvaluationResult& result = job.evaluation_result();
  return result.images() -
         static_cast<std::int64_t>(result.accuracy() * static_cast<double>(result.images()) + 0.5);
}

}  // namespace

absl::StatusOr<v1::GetPredictionsResponse> FetchPredictions(Session& session,
                                                            const v1::TrainingJob& job, int limit) {
  if ((!job.has_evaluation_result() && !job.has_check_result()) || limit <= 0) {
    return v1::GetPredictionsResponse();
  }
  v1::GetPredictionsRequest request;
  request.set_name(job.name());
  request.set_wrong_only(true);
  request.set_page_size(limit);
  return session.Call(&TrainingService::GetPredictions, request, {.repeats = 2});
}

const char* TitleOf(const v1::TrainingJob& job) {
  return job.has_check() ? "Suspicious labels" : "Most confidently wrong";
}

std::string PredictionsText(const Session& session, const v1::TrainingJob& job,
                            const v1::GetPredictionsResponse& found) {
  const bool check = job.has_check();
  std::string text =
      PredictionTable(found, check ? "label" : "true class", check ? "guess" : "prediction")
          .Render(session.style(), session.terminal().width());
  const auto shown = static_cast<std::int64_t>(found.predictions_size());
  if (const std::int64_t all = CountOf(job); all > shown) {
    absl::StrAppend(&text, "  ", Count(shown), " of ", Count(all), "\n");
  }
  return text;
}

absl::StatusOr<std::string> DrawPredictions(Session& session, const v1::TrainingJob& job,
                                            const v1::GetPredictionsResponse& found) {
  const v1::DatasetSplit split = job.has_check() ? job.check().split() : job.evaluation().split();
  auto name = DatasetName(atelier::DatasetOf(job));
  if (!name.ok()) return name.status();
  v1::GetImageSheetRequest request;
  request.set_name(*std::move(name));
  request.set_split(split);
  request.set_columns(kColumns);
  request.set_rows(kMaxRows);
  const int most = kColumns * kMaxRows;
  for (const v1::Prediction& made : found.predictions()) {
    if (request.indices_size() < most) request.add_indices(made.index());
  }
  const auto sheet = session.Call(&DatasetService::GetImageSheet, request, {.repeats = 2});
  if (!sheet.ok()) return sheet.status();
  return sheet->png();
}

}  // namespace atelier::client
