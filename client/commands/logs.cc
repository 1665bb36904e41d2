// `atelier logs`: prints the log of a job's worker.
#include <memory>

#include "client/calls/arguments.h"
#include "client/calls/resource_kind.h"
#include "client/calls/status_text.h"
#include "client/commands/commands.h"
#include "client/terminal/exit_codes.h"

namespace atelier::client {
namespace {

struct LogsOptions {
  std::string job;
  v1::StreamLogsRequest request;
};

// Prints a log as it arrives: to a terminal without control characters, otherwise byte for byte.
class LogPrinter {
 public:
  explicit LogPrinter(Session* session) : session_(session) {}

  void Print(const v1::LogChunk& chunk) {
    if (chunk.text().empty()) return;  // Shows that the server is alive.
    if (session_->format() == OutputFormat::kJson) {
      session_->PrintJson(chunk);
    } else if (!session_->terminal().interactive) {
      session_->terminal().bytes << chunk.text() << std::flush;
    } else {
      pending_ += chunk.text();
      const std::size_t end = WholeCharacters(pending_);
      session_->Print(EscapeControls(absl::string_view(pending_).substr(0, end), true));
      pending_.erase(0, end);
    }
    session_->terminal().out << std::flush;
  }

  void Finish() { session_->Print(EscapeControls(pending_, true)); }

 private:
  Session* const session_;
  std::string pending_;
};

absl::StatusOr<int> Logs(Session& session, LogsOptions& options) {
  auto name = JobName(options.job);
  if (!name.ok()) return name.status();
  options.request.set_name(*std::move(name));
  auto connection = session.Connect();
  if (!connection.ok()) return connection.status();
  grpc::ClientContext context;
  const auto reader = (*connection)->stub<TrainingService>().StreamLogs(&context, options.request);
  LogPrinter printer(&session);
  v1::LogChunk chunk;
  while (reader->Read(&chunk)) printer.Print(chunk);
  printer.Finish();
  const absl::Status status = ToStatus(reader->Finish(), (*connection)->address());
  if (!status.ok()) return status;
  return kDone;
}

}  // namespace

void AddLogs(CommandSet* commands) {
  const auto options = std::make_shared<LogsOptions>();
  CLI::App* const command = commands->Add(
      {"logs",
       "Print the log of a job's worker",
       "With --output=json each chunk is a line, its text in base64.",
       {{"atelier logs cnn-3-20260101-120000", ""},
        {"atelier logs cnn-3-20260101-120000 --follow", "print until it ends"},
        {"atelier logs cnn-3-20260101-120000 --attempt 1", "log of an earlier attempt"}}},
      [options](Session& session) {
        return ExplainKind(session, options->job, {Kind::kJob}, Logs(session, *options));
      });
  command->add_option("JOB", options->job, "The job")->required()->type_name("");
  command->add_flag_callback(
      "--follow,-f", [options] { options->request.set_follow(true); },
      "Follow until the attempt ends");
  command
      ->add_option_function<std::int32_t>(
          "--attempt", [options](std::int32_t value) { options->request.set_attempt(value); },
          "Attempt, from 1 [newest]")
      ->type_name("N")
      ->check(AtLeast(1));
}

}  // namespace atelier::client
