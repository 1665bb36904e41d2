// Evaluations of models and checks of data sets as text. Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_FOLLOWING_SCORING_TEXT_H_
#define ATELIER_CLIENT_FOLLOWING_SCORING_TEXT_H_

#include <string>

#include "atelier/v1/job.pb.h"
#include "atelier/v1/training_service.pb.h"
#include "client/terminal/style.h"
#include "client/terminal/table.h"

namespace atelier::client {

// "test" for DATASET_SPLIT_TEST.
std::string SplitText(v1::DatasetSplit split);

// What is evaluated or checked, in a line and as a row per value.
std::string EvaluationTitle(const v1::EvaluationSpec& spec);
std::string CheckTitle(const v1::CheckSpec& spec);
Table EvaluationTable(const v1::EvaluationSpec& spec);
Table CheckTable(const v1::CheckSpec& spec);

// What makes the figures of an evaluation doubtful, a sentence each.
google::protobuf::RepeatedPtrField<std::string> EvaluationNotes(const v1::EvaluationResult& result);

// What came out, a row per value, and as notes what makes the figures of an evaluation doubtful or
// what was found in a data set; empty for other jobs and those without a result.
std::string ScoringResultText(const v1::TrainingJob& job, const Style& style, int width);

// Single images with their class, as the job has it, and what the network says instead, a row each.
Table PredictionTable(const v1::GetPredictionsResponse& found, const char* true_title,
                      const char* predicted_title);
std::string PredictionCsv(const v1::GetPredictionsResponse& found);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_FOLLOWING_SCORING_TEXT_H_
