#include "tests/fuzz/scratch_server.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "absl/strings/str_cat.h"
#include "atelier/worker/v1/worker_service.pb.h"
#include "server/server_options.h"
#include "server/upkeep/restore.h"
#include "spdlog/spdlog.h"
#include "tests/fuzz/input.h"

namespace atelier::fuzz {
namespace {

// They end by themselves if nobody is left to end them.
constexpr char kWorker[] = "#!/bin/sh\nexec sleep 60\n";

void Demand(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::abort();
}

// Those of a server that went without a word.
void EndWorkers() {
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream children(thread.path() / "children");
    for (pid_t child; children >> child;) {
      // Workers lead groups of their own, which a sanitizer's symbolizer does not.
      if (getpgid(child) != child) continue;
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
  }
}

absl::StatusOr<server::ServerOptions> Options(const std::string& data_dir,
                                              const std::string& program) {
  server::ServerFlags flags;
  flags.listen = absl::StrCat("unix:", data_dir, "/clients");
  flags.metrics_listen = "127.0.0.1:0";
  flags.data_dir = data_dir;
  flags.dataset_space = 4 << 20;
  flags.workers = 16;
  flags.threads_per_worker = 1;
  flags.serving_threads = 1;
  flags.max_queued_jobs = 20;
  flags.lease = absl::Hours(1);
  flags.shutdown_grace = absl::ZeroDuration();
  flags.worker_binary = program;
  flags.audit_space = 1 << 20;
  auto options = server::ServerOptions::Create(flags);
  // Reading what is installed on a machine takes long.
  if (options.ok()) options->datasets.clear();
  return options;
}

}  // namespace

ScratchServer::ScratchServer()
    : data_dir_(Scratch().path("served/data")), program_(Scratch().path("worker")) {
  spdlog::set_level(spdlog::level::off);
  Scratch().Write("worker", reinterpret_cast<const uint8_t*>(kWorker), sizeof(kWorker) - 1);
  if (chmod(program_.c_str(), S_IRWXU) != 0) std::abort();
}

ScratchServer::~ScratchServer() { Stop(); }

void ScratchServer::Restore() {
  std::filesystem::remove_all(data_dir_);
  std::filesystem::create_directories(data_dir_);
  Demand(upkeep::Restore(ATELIER_FUZZ_BACKUP, data_dir_).status());
}

absl::Status ScratchServer::Start() {
  const auto options = Options(data_dir_, program_);
  Demand(options.status());
  auto started = server::Server::Start(*options);
  if (!started.ok()) return started.status();
  server_ = *std::move(started);
  clients_ = std::make_unique<Caller>(server_->address());
  workers_ = std::make_unique<Caller>(options->worker_listen.ToString());
  return absl::OkStatus();
}

void ScratchServer::Stop() {
  clients_.reset();
  workers_.reset();
  server_.reset();
  EndWorkers();
}

Answer ScratchServer::Call(const google::protobuf::MethodDescriptor& method,
                           const std::vector<std::string>& messages) {
  const bool of_workers = method.file() == worker::v1::Hello::descriptor()->file();
  Answer answer = (of_workers ? workers_ : clients_)->Call(method, messages);
  if (std::getenv("ATELIER_FUZZ_PRINT") != nullptr) {
    std::fprintf(stderr, "%s: %d %s%s, %zu messages\n", PathOf(method).c_str(),
                 answer.status.error_code(), answer.status.error_message().c_str(),
                 answer.cut ? " (cut)" : "", answer.messages.size());
  }
  return answer;
}

void ScratchServer::CheckSurroundings() const {
  const std::set<std::string> known = {Scratch().path("served"), data_dir_, program_,
                                       Scratch().path("template"), Scratch().path("input")};
  for (const std::string& folder : {Scratch().path(""), Scratch().path("served")}) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (known.contains(entry.path())) continue;
      std::fprintf(stderr, "%s was made\n", entry.path().c_str());
      std::abort();
    }
  }
}

}  // namespace atelier::fuzz
