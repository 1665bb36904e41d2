#include "server/rpc/access_interceptor.h"

#include <atomic>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "google/protobuf/descriptor.h"
#include "grpcpp/alarm.h"
#include "grpcpp/security/auth_context.h"
#include "grpcpp/support/interceptor.h"
#include "server/access/method_table.h"
#include "server/jobs/error.h"
#include "server/jobs/over_limit.h"
#include "server/rpc/audited_call.h"
#include "server/rpc/status.h"

namespace atelier::rpc {
namespace {

using access::Caller;
using access::Gatekeeper;
using access::MethodRule;
using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerRpcInfo;

constexpr char kAuthorization[] = "authorization";
// Of the connection's verified certificate.
constexpr char kCommonName[] = "x509_common_name";
constexpr char kAlternativeName[] = "x509_subject_alternative_name";
// Refusals that wait at a time, each for a second at most; more are answered at once.
constexpr int kMaxWaiting = 256;

// Servers of the process that ask every call. While there is one, a call of which nothing is known
// is refused.
std::atomic<int> asking = 0;
std::atomic<int> waiting = 0;

class CallGate;
// The call whose handler gRPC is about to call on this thread.
thread_local const CallGate* current = nullptr;

// Who makes a call that is refused because nobody is known to make it.
std::shared_ptr<const Caller> Stranger() {
  static const auto* const stranger = new std::shared_ptr<const Caller>(
      std::make_shared<const Caller>(Caller{.role = access::Role::kClassify}));
  return *stranger;
}

absl::Status TooManyAttempts() {
  return jobs::Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_ATTEMPTS",
                     "Too many calls with wrong tokens wait for their answers; try again in a "
                     "moment, with a token that the server knows.");
}

// Lives as long as its call.
class CallGate final : public grpc::experimental::Interceptor {
 public:
  // `rule` is null for a method that the table does not have.
  CallGate(Gatekeeper* gatekeeper, access::AuditLog* audit, const MethodRule* rule,
           ServerRpcInfo* info)
      : gatekeeper_(gatekeeper), audit_(audit), rule_(rule), info_(info) {}
  ~CallGate() override {
    if (counted_ != nullptr) --*counted_;
  }

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA) &&
        caller_ == nullptr) {
      const absl::Duration delay = Admit(*methods->GetRecvInitialMetadata());
      if (delay > absl::ZeroDuration() && Wait(delay, methods)) return;
    }
    if (audited_ != nullptr) SeeMessages(methods);
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      TakeStatus(methods);
    }
    Proceed(methods);
  }

  const grpc::ServerContextBase* context() const { return info_->server_context(); }
  const absl::Status& refusal() const { return refusal_; }
  const std::shared_ptr<const Caller>& caller() const { return caller_; }

 private:
  using Metadata = std::multimap<grpc::string_ref, grpc::string_ref>;

  // Answers with how long the caller has to wait for a refusal.
  absl::Duration Admit(const Metadata& metadata) {
    auto caller = gatekeeper_->Identify(Show(metadata));
    refusal_ = caller.ok() ? Judge(**caller) : caller.status();
    caller_ = caller.ok() ? *std::move(caller) : Stranger();
    if (refusal_.ok() && caller_->activity != nullptr) refusal_ = Count();
    // Strangers are left out, and who is over a limit: their calls would push out what matters.
    const bool changes = rule_ != nullptr && rule_->changes;
    if (changes ? !absl::IsUnauthenticated(refusal_) : absl::IsPermissionDenied(refusal_)) Audit();
    return refusal_.ok() ? absl::ZeroDuration() : Note(refusal_);
  }

  // Counts the call among its caller's, unless there are too many.
  absl::Status Count() {
    const bool stream = info_->type() != ServerRpcInfo::Type::UNARY;
    const auto most = stream ? caller_->limits.streams : caller_->limits.calls;
    if (!most.has_value()) return absl::OkStatus();
    counted_ = stream ? &caller_->activity->streams : &caller_->activity->calls;
    const std::int64_t now = ++*counted_;
    if (now <= *most) return absl::OkStatus();
    --*std::exchange(counted_, nullptr);
    return jobs::OverLimit({caller_->name, stream ? "streams" : "calls", *most,
                            absl::StrCat(now, stream ? " open streams" : " calls in flight"),
                            "Try again when one has ended.", absl::Seconds(1)});
  }

  absl::Duration Note(const absl::Status& refusal) const {
    return gatekeeper_->NoteRefusal(refusal, info_->method(), caller_->name,
                                    info_->server_context()->peer());
  }

  void Audit() {
    if (audit_ == nullptr || audited_ != nullptr) return;
    audited_ = std::make_unique<AuditedCall>(audit_, *caller_, info_->method(),
                                             info_->server_context()->peer());
  }

  void SeeMessages(InterceptorBatchMethods* methods) {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_MESSAGE)) {
      audited_->See(static_cast<const google::protobuf::Message*>(methods->GetRecvMessage()));
    }
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_MESSAGE)) {
      audited_->See(static_cast<const google::protobuf::Message*>(methods->GetSendMessage()));
    }
  }

  absl::Status Judge(const Caller& caller) const {
    if (rule_ == nullptr) {
      return jobs::Error(absl::StatusCode::kPermissionDenied, "NO_RULE",
                         absl::StrCat(info_->method(), " is open to nobody on this server."));
    }
    return rule_->role.has_value() ? access::CheckRole(caller, *rule_->role, rule_->path)
                                   : absl::OkStatus();
  }

  Gatekeeper::Shown Show(const Metadata& metadata) const {
    Gatekeeper::Shown shown;
    if (gatekeeper_->asks()) {
      const auto [first, last] = metadata.equal_range(kAuthorization);
      if (first != last) {
        shown.authorization = absl::string_view(first->second.data(), first->second.size());
        shown.several = std::next(first) != last;
      }
    }
    if (gatekeeper_->certificates() && !shown.authorization.has_value()) {
      shown.certificate_name = CertificateName();
    }
    return shown;
  }

  // The common name, or else the first alternative one.
  std::string CertificateName() const {
    const auto connection = info_->server_context()->auth_context();
    if (connection == nullptr || !connection->IsPeerAuthenticated()) return "";
    for (const char* property : {kCommonName, kAlternativeName}) {
      for (const grpc::string_ref& name : connection->FindPropertyValues(property)) {
        if (!name.empty()) return std::string(name.data(), name.size());
      }
    }
    return "";
  }

  // Lets the call go on later; false if it goes on now.
  bool Wait(absl::Duration delay, InterceptorBatchMethods* methods) {
    if (++waiting > kMaxWaiting) {
      --waiting;
      refusal_ = TooManyAttempts();
      return false;
    }
    alarm_ = std::make_unique<grpc::Alarm>();
    alarm_->Set(absl::ToChronoTime(absl::Now() + delay), [this, methods](bool) {
      --waiting;
      Proceed(methods);
    });
    return true;
  }

  void Proceed(InterceptorBatchMethods* methods) {
    // The handler is called before this returns, if it is its turn; the gate may be gone then.
    const CallGate* const outer = std::exchange(current, this);
    methods->Proceed();
    current = outer;
  }

  void TakeStatus(InterceptorBatchMethods* methods) {
    if (!refusal_.ok()) {
      methods->ModifySendStatus(ToGrpcStatus(refusal_));
    } else if (methods->GetSendStatus().error_code() == grpc::StatusCode::PERMISSION_DENIED) {
      Note(jobs::Error(absl::StatusCode::kPermissionDenied, "NOT_YOURS", ""));
    }
    if (audited_ != nullptr) audited_->End(methods->GetSendStatus());
  }

  Gatekeeper* const gatekeeper_;
  access::AuditLog* const audit_;
  const MethodRule* const rule_;
  ServerRpcInfo* const info_;
  std::shared_ptr<const Caller> caller_;  // Known from the first hook on.
  absl::Status refusal_;
  std::unique_ptr<grpc::Alarm> alarm_;    // While a refusal waits.
  std::unique_ptr<AuditedCall> audited_;  // Null for a call that is not.
  // Where it is counted, of caller_'s; null if it is not.
  std::atomic<std::int64_t>* counted_ = nullptr;
};

class CallGateFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  CallGateFactory(Gatekeeper* gatekeeper, access::AuditLog* audit)
      : gatekeeper_(gatekeeper), audit_(audit) {
    if (gatekeeper_->asks()) ++asking;
  }
  ~CallGateFactory() override {
    if (gatekeeper_->asks()) --asking;
  }

  grpc::experimental::Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    const MethodRule* const rule = access::FindRule(info->method());
    const bool open = rule != nullptr && !rule->role.has_value();
    if (open || (!gatekeeper_->asks() && (rule == nullptr || !rule->changes))) return nullptr;
    return new CallGate(gatekeeper_, audit_, rule, info);
  }

 private:
  Gatekeeper* const gatekeeper_;
  access::AuditLog* const audit_;
};

const CallGate* GateOf(const grpc::ServerContextBase& context) {
  return current != nullptr && current->context() == &context ? current : nullptr;
}

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> AskCallers(
    Gatekeeper* gatekeeper, access::AuditLog* audit) {
  return std::make_unique<CallGateFactory>(gatekeeper, audit);
}

absl::Status CheckRules(const std::vector<std::string>& services) {
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  for (const std::string& name : services) {
    const auto* service = pool->FindServiceByName(name);
    for (int i = 0; service != nullptr && i < service->method_count(); ++i) {
      const std::string path = absl::StrCat("/", name, "/", service->method(i)->name());
      if (access::FindRule(path) != nullptr) continue;
      return absl::InternalError(
          absl::StrCat(path, " is not in the table of what methods need of their callers."));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckAdmitted(const grpc::ServerContextBase& context) {
  if (const CallGate* gate = GateOf(context)) return gate->refusal();
  if (asking == 0) return absl::OkStatus();
  return jobs::Error(absl::StatusCode::kUnauthenticated, "NO_CREDENTIALS",
                     "The server does not know who makes the call.");
}

std::shared_ptr<const Caller> CallerOf(const grpc::ServerContextBase& context) {
  const CallGate* const gate = GateOf(context);
  return gate == nullptr ? access::Anybody() : gate->caller();
}

}  // namespace atelier::rpc
