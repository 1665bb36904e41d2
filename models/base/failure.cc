#include "models/base/failure.h"

#include <array>
#include <string>

#include "absl/strings/cord.h"

namespace atelier::models {
namespace {

constexpr char kPayloadUrl[] = "atelier.models.FailureReason";

struct Row {
  FailureReason reason;
  absl::string_view name;
  absl::StatusCode code;
};

constexpr std::array<Row, 7> kRows = {{
    {FailureReason::kInternal, "INTERNAL", absl::StatusCode::kInternal},
    {FailureReason::kBadData, "BAD_DATA", absl::StatusCode::kDataLoss},
    {FailureReason::kDiverged, "DIVERGED", absl::StatusCode::kOutOfRange},
    {FailureReason::kOutOfMemory, "OUT_OF_MEMORY", absl::StatusCode::kResourceExhausted},
    {FailureReason::kInvalidSpec, "INVALID_SPEC", absl::StatusCode::kInvalidArgument},
    {FailureReason::kCancelled, "CANCELLED", absl::StatusCode::kCancelled},
    {FailureReason::kRankLost, "RANK_LOST", absl::StatusCode::kAborted},
}};

const Row& RowOf(FailureReason reason) { return kRows[static_cast<size_t>(reason)]; }

}  // namespace

absl::string_view FailureReasonName(FailureReason reason) { return RowOf(reason).name; }

absl::Status Failure(FailureReason reason, absl::string_view message) {
  const Row& row = RowOf(reason);
  absl::Status status(row.code, message);
  status.SetPayload(kPayloadUrl, absl::Cord(row.name));
  return status;
}

FailureReason ReasonOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayloadUrl);
  if (!payload) return FailureReason::kInternal;
  for (const Row& row : kRows) {
    if (*payload == row.name) return row.reason;
  }
  return FailureReason::kInternal;
}

}  // namespace atelier::models
