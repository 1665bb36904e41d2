#include "server/jobs/over_limit.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "server/jobs/error.h"

namespace atelier::jobs {

absl::Status OverLimit(const Excess& excess) {
  const std::string rule = absl::StrCat(excess.limit, "=", excess.most);
  absl::Status status =
      Error(absl::StatusCode::kResourceExhausted, "CALLER_LIMIT",
            absl::StrCat(excess.caller, " would have ", excess.what, ", and may have ", excess.most,
                         " (", excess.limit, " in the server's access file). ", excess.remedy));
  google::rpc::QuotaFailure quota;
  auto* const violation = quota.add_violations();
  violation->set_subject(absl::StrCat("caller:", excess.caller));
  violation->set_description(absl::StrCat(rule, ": ", excess.what));
  status.SetPayload(kQuotaFailureUrl, absl::Cord(quota.SerializeAsString()));
  if (excess.retry > absl::ZeroDuration()) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(absl::ToInt64Seconds(excess.retry));
    status.SetPayload(kRetryInfoUrl, absl::Cord(retry.SerializeAsString()));
  }
  return status;
}

}  // namespace atelier::jobs
