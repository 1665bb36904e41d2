// The client's connection to a server, or to several of which each call goes to one: a channel and
// the calls on it. Thread-safe.
#ifndef ATELIER_CLIENT_CALLS_CONNECTION_H_
#define ATELIER_CLIENT_CALLS_CONNECTION_H_

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "atelier/v1/admin_service.grpc.pb.h"
#include "atelier/v1/dataset_service.grpc.pb.h"
#include "atelier/v1/experiment_service.grpc.pb.h"
#include "atelier/v1/inference_service.grpc.pb.h"
#include "atelier/v1/model_service.grpc.pb.h"
#include "atelier/v1/monitoring_service.grpc.pb.h"
#include "atelier/v1/training_service.grpc.pb.h"
#include "client/calls/status_text.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"

namespace atelier::client {

using TrainingService = v1::TrainingService::StubInterface;
using ModelService = v1::ModelService::StubInterface;
using DatasetService = v1::DatasetService::StubInterface;
using InferenceService = v1::InferenceService::StubInterface;
using MonitoringService = v1::MonitoringService::StubInterface;
using ExperimentService = v1::ExperimentService::StubInterface;
using AdminService = v1::AdminService::StubInterface;
using HealthService = grpc::health::v1::Health::StubInterface;

struct CallOptions {
  // Deadline of the call.
  absl::Duration timeout = absl::Seconds(30);
  // How often the call is repeated after the connection broke, waiting for the server. Only for
  // idempotent calls.
  int repeats = 0;
  FieldNamer name_field = FlagOf;
};

// PEM files for a server with TLS.
struct TlsOptions {
  std::string authorities;  // --tls-ca: the CAs to trust. Empty: no TLS.
  std::string certificate;  // --tls-cert: the client's, for mutual TLS. May be empty.
  std::string key;          // --tls-key: the certificate's private key.
};

class Connection {
 public:
  // `address` is as ServerAddresses::Parse takes it; `token_file` holds the caller's token, empty
  // for none. INVALID_ARGUMENT for any other address, for unusable files, and for a token that
  // would travel in plain text. Does not connect.
  static absl::StatusOr<std::unique_ptr<Connection>> Create(absl::string_view address,
                                                            const TlsOptions& tls = {},
                                                            const std::string& token_file = "");

  // Connects. UNAVAILABLE with the reason if that fails, at the latest after `timeout`.
  absl::Status WaitUntilReady(absl::Duration timeout);

  // Makes one unary call: Call(&TrainingService::GetJob, request).
  template <typename Service, typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Service::*method)(grpc::ClientContext*,
                                                                const Request&, Response*),
                                const Request& request, const CallOptions& options = {}) {
    for (int repeats = 0;; ++repeats) {
      grpc::ClientContext context;
      PrepareContext(&context, options, repeats);
      Response response;
      const grpc::Status status = (stub<Service>().*method)(&context, request, &response);
      if (status.ok()) return response;
      if (repeats >= options.repeats || !IsBroken(status)) {
        return ToStatus(status, address_, options.name_field, NameIn(request));
      }
    }
  }

  template <typename Service>
  Service& stub() {
    if constexpr (std::is_same_v<Service, TrainingService>) return *training_;
    if constexpr (std::is_same_v<Service, ModelService>) return *models_;
    if constexpr (std::is_same_v<Service, DatasetService>) return *datasets_;
    if constexpr (std::is_same_v<Service, InferenceService>) return *inference_;
    if constexpr (std::is_same_v<Service, MonitoringService>) return *monitoring_;
    if constexpr (std::is_same_v<Service, ExperimentService>) return *experiments_;
    if constexpr (std::is_same_v<Service, AdminService>) return *admin_;
    if constexpr (std::is_same_v<Service, HealthService>) return *health_;
  }

  // Whether the channel is connected at this moment.
  bool connected() const { return channel_->GetState(false) == GRPC_CHANNEL_READY; }

  const std::string& address() const { return address_; }

 private:
  Connection(std::string address, bool balanced, TlsOptions tls,
             std::shared_ptr<grpc::Channel> channel);

  // Why the channel's last attempt to connect failed.
  absl::Status WhyNot();
  // An error for a connection that failed with gRPC's message `why`.
  absl::Status Explain(absl::string_view why) const;

  // The deadline, and before a repetition a short pause.
  static void PrepareContext(grpc::ClientContext* context, const CallOptions& options, int repeats);

  // Constant after construction.
  const std::string address_;
  const bool balanced_;  // Whether there may be several servers.
  const TlsOptions tls_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<TrainingService> training_;
  const std::unique_ptr<ModelService> models_;
  const std::unique_ptr<DatasetService> datasets_;
  const std::unique_ptr<InferenceService> inference_;
  const std::unique_ptr<MonitoringService> monitoring_;
  const std::unique_ptr<ExperimentService> experiments_;
  const std::unique_ptr<AdminService> admin_;
  const std::unique_ptr<HealthService> health_;
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CALLS_CONNECTION_H_
