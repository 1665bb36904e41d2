#include "models/training/starting_point.h"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "models/base/failure.h"
#include "models/network/training_start.h"

namespace atelier::models {
namespace {

absl::StatusOr<StartingPoint> Continue(const TrainingOptions& options,
                                       const std::string& fingerprint,
                                       const CheckpointOptions& checkpoints) {
  auto found = FindNewestCheckpoint({checkpoints.continue_from}, fingerprint);
  if (!found.has_value()) {
    return Failure(FailureReason::kInternal,
                   absl::StrCat("no checkpoint of ", options.start.continued_job,
                                " is left that this version can continue"));
  }
  if (absl::Status status = CheckContinuable(*found, fingerprint, options); !status.ok()) {
    return status;
  }
  found->fingerprint = fingerprint;
  found->continued_epochs = static_cast<int64_t>(found->history.size());
  return StartingPoint{*std::move(found), true};
}

absl::StatusOr<StartingPoint> Begin(const TrainingOptions& options, const std::string& fingerprint,
                                    const TrainedModel* start) {
  TrainedModel model = TrainedModel::Initial(options.architecture, options.seed);
  if (!options.start.taken_layers.empty()) {
    if (start == nullptr) {
      return Failure(FailureReason::kInvalidSpec, "layers are to be taken, but from no model");
    }
    absl::Status taken = TakeLayers(options.start.taken_layers, *start, &model);
    if (!taken.ok()) return Failure(FailureReason::kInvalidSpec, taken.message());
  }
  StartingPoint point;
  point.state.fingerprint = fingerprint;
  point.state.weights = std::move(model.tensors);
  return point;
}

}  // namespace

absl::StatusOr<StartingPoint> FindStartingPoint(const TrainingOptions& options,
                                                const std::string& fingerprint,
                                                const CheckpointOptions& checkpoints,
                                                const TrainedModel* start) {
  auto found = FindNewestCheckpoint(checkpoints.resume_from, fingerprint);
  if (found.has_value()) {
    if (absl::Status status = CheckResumable(*found, fingerprint, options); !status.ok()) {
      return status;
    }
    return StartingPoint{*std::move(found), true};
  }
  if (!checkpoints.continue_from.empty()) return Continue(options, fingerprint, checkpoints);
  return Begin(options, fingerprint, start);
}

}  // namespace atelier::models
