#include "server/rpc/audited_call.h"

#include <cstddef>

#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "server/jobs/page_token.h"
#include "server/jobs/timestamps.h"

namespace atelier::rpc {
namespace {

constexpr std::size_t kMaxText = 300;

// The fields of our messages that name what a call is about, the most exact first.
constexpr const char* kNames[] = {"name", "upload", "model_name", "model", "dataset"};

std::string ResourceOf(const google::protobuf::Message& message) {
  const auto* reflection = message.GetReflection();
  for (const char* name : kNames) {
    const auto* field = message.GetDescriptor()->FindFieldByName(name);
    if (field == nullptr || field->is_repeated() ||
        field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_STRING) {
      continue;
    }
    std::string value = reflection->GetString(message, field);
    if (!value.empty()) return value;
  }
  return "";
}

}  // namespace

AuditedCall::AuditedCall(access::AuditLog* log, const access::Caller& caller, const char* path,
                         const std::string& peer)
    : log_(log) {
  entry_.set_caller(caller.name);
  entry_.set_role(std::string(access::RoleWord(caller.role)));
  entry_.set_peer(peer);
  entry_.set_method(std::string(absl::StripPrefix(path, "/")));
}

AuditedCall::~AuditedCall() {
  if (!ended_) End(grpc::Status(grpc::StatusCode::CANCELLED, "The call was cancelled."));
}

void AuditedCall::See(const google::protobuf::Message* message) {
  if (message == nullptr || !entry_.resource().empty()) return;
  entry_.set_resource(jobs::ClipText(ResourceOf(*message), kMaxText));
}

void AuditedCall::End(const grpc::Status& status) {
  ended_ = true;
  *entry_.mutable_time() = jobs::ToTimestamp(absl::Now());
  entry_.set_code(absl::StatusCodeToString(static_cast<absl::StatusCode>(status.error_code())));
  entry_.set_message(jobs::ClipText(status.error_message(), kMaxText));
  log_->Add(std::move(entry_));
}

}  // namespace atelier::rpc
