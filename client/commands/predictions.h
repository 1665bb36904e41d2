// Single images of an evaluation or a check: those that it got wrong, or whose labels are
// suspicious. Used by one thread.
#ifndef ATELIER_CLIENT_COMMANDS_PREDICTIONS_H_
#define ATELIER_CLIENT_COMMANDS_PREDICTIONS_H_

#include <string>

#include "absl/status/statusor.h"
#include "atelier/v1/job.pb.h"
#include "atelier/v1/training_service.pb.h"
#include "client/calls/session.h"

namespace atelier::client {

// The wrong images of an evaluation, most confident first, or the suspicious labels of a check, the
// most suspicious first: at most so many. Nothing of other jobs and of those without a result.
absl::StatusOr<v1::GetPredictionsResponse> FetchPredictions(Session& session,
                                                            const v1::TrainingJob& job, int limit);

// What they are called.
const char* TitleOf(const v1::TrainingJob& job);

// A row for each, and a line if there are more.
std::string PredictionsText(const Session& session, const v1::TrainingJob& job,
                            const v1::GetPredictionsResponse& found);

// Draws their images side by side, in order, and returns the PNG file.
absl::StatusOr<std::string> DrawPredictions(Session& session, const v1::TrainingJob& job,
                                            const v1::GetPredictionsResponse& found);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMMANDS_PREDICTIONS_H_
