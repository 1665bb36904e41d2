// `atelier health`: whether the server answers requests; for containers and scripts.
#include <memory>

#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/terminal/exit_codes.h"

namespace atelier::client {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

absl::StatusOr<int> Health(Session& session, const HealthCheckRequest& request) {
  const auto health = session.Call(&HealthService::Check, request, {.timeout = absl::Seconds(5)});
  if (absl::IsNotFound(health.status())) {
    return absl::UnavailableError(
        absl::StrCat("The server has no service '", EscapeControls(request.service()), "'."));
  }
  if (!health.ok()) return health.status();
  const bool serving = health->status() == HealthCheckResponse::SERVING;
  if (session.format() == OutputFormat::kJson) session.PrintJson(*health);
  if (session.format() == OutputFormat::kCsv) {
    session.Print(CsvLine({"status"}) +
                  CsvLine({HealthCheckResponse::ServingStatus_Name(health->status())}));
  }
  if (session.text()) session.Print(serving ? "serving\n" : "not serving\n");
  return serving ? kDone : kError;
}

}  // namespace

void AddHealth(CommandSet* commands) {
  const auto request = std::make_shared<HealthCheckRequest>();
  CLI::App* const command =
      commands->Add({"health",
                     "Check whether the server is serving",
                     "Exit codes: 0 serving, 1 not serving or not reachable.",
                     {{"atelier health", ""}, {"atelier health --server=10.0.0.5:50051", ""}}},
                    [request](Session& session) { return Health(session, *request); });
  command
      ->add_option_function<std::string>(
          "SERVICE", [request](const std::string& name) { request->set_service(name); },
          "Full name of a service [the whole server]")
      ->type_name("");
}

}  // namespace atelier::client
