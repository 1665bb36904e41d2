#include "server/launch/worker_command.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/launch/environment.h"

namespace atelier::launch {
namespace {

std::string BesideThisProgram(const std::string& name) {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path() / name;
}

}  // namespace

absl::StatusOr<WorkerCommand> WorkerCommand::Create(Options options) {
  if (options.program.empty()) options.program = BesideThisProgram("atelier-worker");
  std::error_code ignored;
  const bool is_folder = std::filesystem::is_directory(options.program, ignored);
  if (is_folder || access(options.program.c_str(), X_OK) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot run the worker program ", options.program, ": ",
                     strerror(is_folder ? EISDIR : errno), "; it belongs beside the server's"));
  }
  return WorkerCommand(std::move(options));
}

std::vector<std::string> WorkerCommand::Arguments(const jobs::LaunchRequest& request) const {
  std::vector<std::string> arguments = {
      options_.program, absl::StrCat("--server=", options_.server_address),
      JobArgument(request.job_id), AttemptArgument(request.attempt)};
  if (!options_.server_certificate.empty()) {
    arguments.push_back(absl::StrCat("--server_certificate=", options_.server_certificate));
  }
  if (!options_.sandbox.empty()) {
    arguments.push_back(absl::StrCat("--sandbox=", options_.sandbox));
  }
  if (!options_.cache_dir.empty()) {
    arguments.push_back(absl::StrCat("--cache_dir=", options_.cache_dir));
    arguments.push_back(absl::StrCat("--cache_bytes=", options_.cache_bytes));
  }
  if (request.resources.nodes > 1) {
    arguments.push_back(absl::StrCat("--ranks=", request.resources.nodes));
    if (!options_.rank_network.empty()) {
      arguments.push_back(absl::StrCat("--rank_network=", options_.rank_network));
    }
  }
  return arguments;
}

std::vector<std::string> WorkerCommand::Environment(const std::string& token) const {
  std::vector<std::string> own = OwnVariables();
  own.push_back(TokenVariable(token));
  return WorkerEnvironment(own);
}

std::vector<std::string> WorkerCommand::OwnVariables() const {
  std::vector<std::string> own = {"OMP_NUM_THREADS=1", "MKL_NUM_THREADS=1",
                                  "OPENBLAS_NUM_THREADS=1", "GOTO_NUM_THREADS=1"};
  if (!options_.certificate_text.empty()) {
    own.push_back(absl::StrCat("ATELIER_SERVER_CERTIFICATE=", options_.certificate_text));
  }
  return own;
}

std::string WorkerCommand::JobArgument(const std::string& job) {
  return absl::StrCat("--job=", job);
}

std::string WorkerCommand::AttemptArgument(int attempt) {
  return absl::StrCat("--attempt=", attempt);
}

std::string WorkerCommand::TokenVariable(const std::string& token) {
  return absl::StrCat("ATELIER_WORKER_TOKEN=", token);
}

jobs::ProcessEnd WorkerCommand::EndOf(std::string how, int exit_code) {
  using Cause = jobs::ProcessEnd::Cause;
  if (exit_code == worker::kServerLost) return {std::move(how), Cause::kServerUnreachable};
  if (exit_code == worker::kOutOfMemory) {
    return {absl::StrCat("over its memory limit (", how, ")"), Cause::kOutOfMemory};
  }
  if (exit_code == worker::kDiskFailed) {
    return {absl::StrCat("its node's disk failed, as its log says (", how, ")"), Cause::kUnknown};
  }
  if (exit_code == worker::kNotFetched) {
    return {absl::StrCat("it could not fetch its files, as its log says (", how, ")"),
            Cause::kUnknown};
  }
  if (exit_code == kRankLostCode) {
    return {absl::StrCat("another of its processes was lost, as its log says (", how, ")"),
            Cause::kUnknown};
  }
  return {std::move(how), Cause::kUnknown};
}

}  // namespace atelier::launch
