#include "server/rpc/status.h"

#include <string>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/jobs/error.h"
#include "server/jobs/over_limit.h"
#include "server/jobs/page_token.h"

namespace atelier::rpc {
namespace {

// Together below 8 KiB: the message is sent twice, and percent-encoded once.
constexpr size_t kMaxMessage = 1000;
constexpr size_t kMaxDescription = 200;
constexpr int kMaxViolations = 16;
constexpr size_t kMaxPayload = 3500;
constexpr int kRetrySeconds = 1;

google::rpc::BadRequest ClippedBadRequest(const absl::Status& status) {
  google::rpc::BadRequest clipped;
  for (const jobs::FieldViolation& violation : jobs::ViolationsOf(status)) {
    if (clipped.field_violations_size() == kMaxViolations) break;
    auto* entry = clipped.add_field_violations();
    entry->set_field(jobs::ClipText(violation.field, kMaxDescription));
    entry->set_description(jobs::ClipText(violation.description, kMaxDescription));
  }
  return clipped;
}

void AddDetails(const absl::Status& status, google::rpc::Status* details) {
  bool explained = false;
  bool timed = false;
  status.ForEachPayload([&](absl::string_view type_url, const absl::Cord& payload) {
    // A limit says itself when to come back, or that it is no use.
    timed |= type_url == jobs::kQuotaFailureUrl;
    if (type_url == jobs::kBadRequestUrl) {
      details->add_details()->PackFrom(ClippedBadRequest(status));
      explained = true;
    } else if (payload.size() <= kMaxPayload) {
      auto* any = details->add_details();
      any->set_type_url(std::string(type_url));
      any->set_value(std::string(payload));
      explained |= type_url == jobs::kErrorInfoUrl;
    }
  });
  if (!explained) {
    google::rpc::ErrorInfo info;
    info.set_reason(absl::StatusCodeToString(status.code()));
    info.set_domain("atelier");
    details->add_details()->PackFrom(info);
  }
  if (status.code() == absl::StatusCode::kResourceExhausted && !timed) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(kRetrySeconds);
    details->add_details()->PackFrom(retry);
  }
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(jobs::ClipText(status.message(), kMaxMessage));
  AddDetails(status, &details);
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), details.message(),
                      details.SerializeAsString());
}

absl::Status ServerBusy() {
  return jobs::Error(absl::StatusCode::kResourceExhausted, "SERVER_BUSY",
                     "The server has too many calls to answer; try again in a moment.");
}

absl::Status ServerStopping() {
  return jobs::Error(absl::StatusCode::kUnavailable, "SHUTTING_DOWN", "The server is stopping.");
}

absl::Status OnlyReplica() {
  return jobs::Error(absl::StatusCode::kUnimplemented, "SERVING_REPLICA",
                     "This server is a serving replica: it classifies with the models of another "
                     "server, which is to be asked for all else.");
}

}  // namespace atelier::rpc
