// Measures what many clients that stream one job's metrics cost the server: each has a connection
// of its own, reads everything from the first event on and then follows. Prints how much the
// server's resident memory grew and how long live events were under way, or with --json one object.
//
// The server must run on this machine; the job should run for as long as --seconds.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "atelier/v1/training_service.grpc.pb.h"
#include "grpcpp/grpcpp.h"

ABSL_FLAG(std::string, server, "127.0.0.1:50051", "Address of the server.");
ABSL_FLAG(int, pid, 0, "Process id of the server, whose memory is measured.");
ABSL_FLAG(std::string, job, "", "The job to stream, `jobs/{job}`.");
ABSL_FLAG(int, connections, 1000, "Clients, each with a connection of its own.");
ABSL_FLAG(int, stuck, 0, "How many of them read nothing after the first event.");
ABSL_FLAG(int, seconds, 10, "How long they follow once all of them have caught up.");
ABSL_FLAG(bool, json, false, "Print one JSON object instead of a table.");

namespace atelier {
namespace {

// Resident memory of a process in KiB; 0 if it is gone.
long ResidentKib(int pid) {
  std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return std::stol(line.substr(6));
  }
  return 0;
}

// What all clients come to. Thread-safe.
class Tally {
 public:
  explicit Tally(absl::Time start) : start_(start) {}

  void CountEvent(const v1::JobEvent& event) {
    const absl::Time time =
        absl::FromUnixSeconds(event.time().seconds()) + absl::Nanoseconds(event.time().nanos());
    absl::MutexLock lock(&mutex_);
    ++events_;
    if (live_) delays_ms_.push_back(absl::ToDoubleMilliseconds(absl::Now() - time));
  }
  // A client has everything that had happened when the benchmark began.
  void CountCaughtUp() {
    absl::MutexLock lock(&mutex_);
    ++caught_up_;
  }
  void CountEnded(bool ok) {
    absl::MutexLock lock(&mutex_);
    ++ended_;
    failed_ += ok ? 0 : 1;
  }

  void AwaitCaughtUp(int clients) { Await(&caught_up_, clients); }
  void AwaitEnded(int clients) { Await(&ended_, clients); }
  void SetLive(bool live) {
    absl::MutexLock lock(&mutex_);
    live_ = live;
  }

  absl::Time start() const { return start_; }
  long events() {
    absl::MutexLock lock(&mutex_);
    return events_;
  }
  int failed() {
    absl::MutexLock lock(&mutex_);
    return failed_;
  }
  // Of the live events; 0 if there was none.
  double DelayMs(double percentile) {
    absl::MutexLock lock(&mutex_);
    if (delays_ms_.empty()) return 0;
    const auto rank =
        static_cast<std::ptrdiff_t>(percentile * static_cast<double>(delays_ms_.size() - 1));
    std::nth_element(delays_ms_.begin(), delays_ms_.begin() + rank, delays_ms_.end());
    return delays_ms_[static_cast<std::size_t>(rank)];
  }

 private:
  void Await(const int* count, int clients) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [count, clients] { return *count >= clients; };
    mutex_.Await(absl::Condition(&enough));
  }

  const absl::Time start_;
  absl::Mutex mutex_;
  long events_ = 0;
  int caught_up_ = 0;
  int ended_ = 0;
  int failed_ = 0;
  bool live_ = false;
  std::vector<double> delays_ms_;
};

// One client. Lives until its call has ended.
class Watcher final : public grpc::ClientReadReactor<v1::JobEvent> {
 public:
  Watcher(const std::string& server, const std::string& job, bool stuck, Tally* tally)
      : stuck_(stuck), tally_(tally) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stub_ = v1::TrainingService::NewStub(
        grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(), arguments));
    request_.set_name(job);
    stub_->async()->StreamMetrics(&context_, &request_, this);
    StartRead(&event_);
    StartCall();
  }

  void Cancel() { context_.TryCancel(); }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    tally_->CountEvent(event_);
    const bool news = absl::FromUnixSeconds(event_.time().seconds()) >= tally_->start();
    if (!caught_up_ && (news || stuck_)) {
      caught_up_ = true;
      tally_->CountCaughtUp();
    }
    if (!stuck_) StartRead(&event_);
  }

  void OnDone(const grpc::Status& status) override {
    if (!caught_up_) tally_->CountCaughtUp();
    tally_->CountEnded(status.ok() || status.error_code() == grpc::StatusCode::CANCELLED);
  }

 private:
  const bool stuck_;
  Tally* const tally_;
  bool caught_up_ = false;
  std::unique_ptr<v1::TrainingService::Stub> stub_;
  grpc::ClientContext context_;
  v1::StreamMetricsRequest request_;
  v1::JobEvent event_;
};

nlohmann::json Measure() {
  const int pid = absl::GetFlag(FLAGS_pid);
  const int connections = absl::GetFlag(FLAGS_connections);
  const long before = ResidentKib(pid);
  Tally tally(absl::Now());
  std::vector<std::unique_ptr<Watcher>> watchers;
  for (int i = 0; i < connections; ++i) {
    watchers.push_back(std::make_unique<Watcher>(absl::GetFlag(FLAGS_server),
                                                 absl::GetFlag(FLAGS_job),
                                                 i < absl::GetFlag(FLAGS_stuck), &tally));
  }
  tally.AwaitCaughtUp(connections);
  const double seconds_to_catch_up = absl::ToDoubleSeconds(absl::Now() - tally.start());
  tally.SetLive(true);
  long peak = ResidentKib(pid);
  const absl::Time end = absl::Now() + absl::Seconds(absl::GetFlag(FLAGS_seconds));
  while (absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(200));
    peak = std::max(peak, ResidentKib(pid));
  }
  tally.SetLive(false);
  for (const auto& watcher : watchers) watcher->Cancel();
  tally.AwaitEnded(connections);
  return {{"connections", connections},
          {"stuck", absl::GetFlag(FLAGS_stuck)},
          {"failed", tally.failed()},
          {"events", tally.events()},
          {"seconds_to_catch_up", seconds_to_catch_up},
          {"server_rss_before_mib", static_cast<double>(before) / 1024},
          {"server_rss_growth_mib", static_cast<double>(peak - before) / 1024},
          {"delay_ms", {{"p50", tally.DelayMs(0.5)}, {"p99", tally.DelayMs(0.99)}}}};
}

int Main() {
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  if (absl::GetFlag(FLAGS_job).empty() || ResidentKib(absl::GetFlag(FLAGS_pid)) == 0) {
    std::cerr << "stream_bench: --job and the --pid of a running server are needed.\n";
    return 1;
  }
  const nlohmann::json result = Measure();
  if (absl::GetFlag(FLAGS_json)) {
    std::cout << result.dump() << "\n";
    return 0;
  }
  for (const auto& [key, value] : result.items()) {
    std::printf("%-24s %s\n", key.c_str(), value.dump().c_str());
  }
  return 0;
}

}  // namespace
}  // namespace atelier

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("measures what clients that stream metrics cost the server");
  absl::ParseCommandLine(argc, argv);
  return atelier::Main();
}
