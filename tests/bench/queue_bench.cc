// What a long queue costs the job controller: its start, and each change of the queue. The disk is
// the real database, in a folder that may lie in memory; processes and data sets are fakes.
#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/jobs/event_log.h"
#include "server/jobs/job_controller.h"
#include "server/jobs/spec_resolver.h"
#include "server/store/sqlite_store.h"
#include "tests/unit/jobs/fakes.h"

ABSL_FLAG(int, jobs, 10000, "Jobs in the queue.");
ABSL_FLAG(int, changes, 200, "Changes of each kind that are measured.");
ABSL_FLAG(std::string, folder, "/dev/shm", "Where the database is put.");

namespace atelier::jobs {
namespace {

// Runs `change` several times and prints what one took on average.
template <typename Change>
void Measure(const char* what, int times, Change change) {
  const absl::Time begin = absl::Now();
  for (int i = 0; i < times; ++i) change(i);
  const double microseconds = absl::ToDoubleMicroseconds(absl::Now() - begin) / times;
  std::printf("%-28s %10.0f us\n", what, microseconds);
}

SpecResolver::Options Presets() {
  SpecResolver::Options options;
  options.presets = {{"cnn-3", 3}};
  options.max_cores = 1;
  options.draw_seed = [] { return 7; };
  return options;
}

// A job controller on a database, which can be started again.
class Bench {
 public:
  explicit Bench(const std::string& folder) : folder_(folder) { Boot(); }
  ~Bench() {
    controller_.reset();
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  void Boot() {
    controller_.reset();
    events_.reset();
    store_.reset();
    store_ = *store::SqliteStore::Open(folder_ + "/atelier.db");
    events_ = std::make_unique<EventLog>(EventLog::Options(), store_.get());
    JobController::Options options;
    options.queue_capacity = 1'000'000;
    controller_ = *JobController::Create(options, {.clock = &clock_,
                                                   .jobs = store_.get(),
                                                   .models = store_.get(),
                                                   .artifacts = &artifacts_,
                                                   .datasets = &datasets_,
                                                   .pushed_datasets = store_.get(),
                                                   .executor = &executor_,
                                                   .resolver = &resolver_,
                                                   .events = events_.get()});
  }
  JobController& controller() { return *controller_; }

  std::string Start() {
    v1::StartTrainingRequest request;
    request.mutable_spec()->set_preset("cnn-3");
    clock_.Advance(absl::Seconds(1));  // For a name of its own.
    return controller_->Start(request)->name().substr(5);
  }
  void Tick() { controller_->Tick(); }
  // The running job fails, the next one starts.
  void Next() {
    executor_.Exit(absl::StrCat("process-", executor_.launches().size()), "killed",
                   ProcessEnd::Cause::kOutOfMemory);
    Tick();
  }

 private:
  const std::string folder_;
  FakeClock clock_;
  FakeExecutor executor_;
  FakeDatasets datasets_;
  FakeArtifacts artifacts_;
  SpecResolver resolver_{Presets(), &datasets_};
  std::unique_ptr<store::SqliteStore> store_;
  std::unique_ptr<EventLog> events_;
  std::unique_ptr<JobController> controller_;
};

void Run() {
  std::string folder = absl::GetFlag(FLAGS_folder) + "/queue-bench-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return std::perror(folder.c_str());
  Bench bench(folder);
  const int jobs = absl::GetFlag(FLAGS_jobs);
  const int changes = absl::GetFlag(FLAGS_changes);
  std::vector<std::string> ids;
  bench.Start();
  bench.Tick();  // Has the only core.
  Measure("accept, empty queue", changes, [&](int) { ids.push_back(bench.Start()); });
  while (static_cast<int>(ids.size()) < jobs) ids.push_back(bench.Start());
  std::printf("%d jobs wait:\n", jobs);
  Measure("accept", changes, [&](int) { bench.Start(); });
  Measure("read one", changes, [&](int i) {
    (void)bench.controller().Get(ids[static_cast<std::size_t>(i * (jobs / changes))]);
  });
  Measure("stop one in the middle", changes, [&](int i) {
    (void)bench.controller().Stop(ids[static_cast<std::size_t>(jobs / 2 + i)]);
  });
  Measure("start the next", changes, [&](int) { bench.Next(); });
  Measure("tick, nothing due", changes, [&](int) { bench.Tick(); });
  Measure("server's start", 1, [&](int) { bench.Boot(); });
}

}  // namespace
}  // namespace atelier::jobs

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Measures the job controller with a long queue.");
  absl::ParseCommandLine(argc, argv);
  atelier::jobs::Run();
}
