#include "server/slurm/slurm_engine.h"

#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <map>

#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/remote/remote_executor.h"
#include "tests/unit/slurm/fake_slurm.h"

namespace atelier::slurm {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;
using Cause = jobs::ProcessEnd::Cause;

class SetClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::FromUnixSeconds(1'700'000'000) + elapsed; }
  absl::Duration Elapsed() const override { return elapsed; }

  absl::Duration elapsed = absl::Seconds(100);
};

class SlurmEngineTest : public testing::Test {
 protected:
  SlurmEngineTest() {
    std::string pattern = testing::TempDir() + "/slurm-XXXXXX";
    dir_ = mkdtemp(pattern.data());
    for (const char* name : {"atelier-worker", "sbatch", "squeue", "scontrol", "scancel"}) {
      const std::string path = absl::StrCat(dir_, "/", name);
      std::ofstream(path) << "#!/bin/false\n";
      chmod(path.c_str(), 0755);
    }
    Boot();
    executor_->Recovered();
  }
  ~SlurmEngineTest() override { std::filesystem::remove_all(dir_); }

  // A server begins, after the end of the one before.
  void Boot() {
    executor_.reset();
    auto engine = SlurmEngine::Create(SlurmSettings(), WorkerSettings(), slurm_.runner());
    ASSERT_TRUE(engine.ok()) << engine.status();
    remote::RemoteExecutor::Options options;
    options.server_id = "here";
    options.log = [this](const std::string& sentence) { logged_.push_back(sentence); };
    options.own_thread = false;
    executor_ = std::make_unique<remote::RemoteExecutor>(options, *std::move(engine), &clock_);
    executor_->SetStatusCallback(
        [this](const std::string& handle, const jobs::LaunchStatus& status) {
          if (const auto* pending = std::get_if<jobs::LaunchPending>(&status)) {
            told_[handle].push_back("pending " + pending->why);
          } else if (const auto* running = std::get_if<jobs::LaunchRunning>(&status)) {
            told_[handle].push_back("running " + running->where);
          } else {
            const auto& end = std::get<jobs::ProcessEnd>(status);
            told_[handle].push_back("ended " + end.how);
            cause_[handle] = end.cause;
          }
        });
  }

  SlurmOptions SlurmSettings() const {
    SlurmOptions options;
    options.bin_dir = dir_;
    options.arguments = {"--partition=train"};
    options.gres = "gpu:1";
    return options;
  }
  launch::WorkerCommand::Options WorkerSettings() const {
    return {.program = dir_ + "/atelier-worker",
            .server_address = "10.0.0.1:50052",
            .server_certificate = {}};
  }

  jobs::LaunchRequest Request(int attempt = 1) const {
    jobs::LaunchRequest request;
    request.job_id = "a-job";
    request.attempt = attempt;
    request.token = "s3cret";
    request.attempt_dir = absl::StrCat(dir_, "/attempts/", attempt);
    request.resources = {.cores = 3, .memory_bytes = std::int64_t{2} << 30, .gpus = 0};
    return request;
  }
  std::string Launch(int attempt = 1) {
    const auto launched = executor_->Launch(Request(attempt));
    EXPECT_TRUE(launched.ok()) << launched.status();
    if (!launched.ok()) return "";
    EXPECT_TRUE(std::holds_alternative<jobs::LaunchPending>(launched->status));
    return launched->handle;
  }
  // Time goes by, with Tick called whenever it is due.
  void Pass(absl::Duration duration) {
    while (duration > absl::ZeroDuration()) {
      const absl::Duration due = std::max(executor_->Tick(), absl::Milliseconds(10));
      const absl::Duration step = std::min(duration, due);
      clock_.elapsed += step;
      duration -= step;
    }
    executor_->Tick();
  }
  std::string Last(const std::string& handle) {
    return told_[handle].empty() ? "" : told_[handle].back();
  }
  int Ends(const std::string& handle) {
    int ends = 0;
    for (const std::string& told : told_[handle]) ends += absl::StartsWith(told, "ended") ? 1 : 0;
    return ends;
  }

  std::string dir_;
  SetClock clock_;
  FakeSlurm slurm_;
  std::vector<std::string> logged_;
  std::map<std::string, std::vector<std::string>> told_;
  std::map<std::string, Cause> cause_;
  std::unique_ptr<remote::RemoteExecutor> executor_;
};

TEST_F(SlurmEngineTest, SubmitsABatchJobForAnAttempt) {
  auto request = Request(2);
  request.arguments = {"--time=5"};
  ASSERT_TRUE(executor_->Launch(request).ok());
  const launch::Command command = slurm_.calls("sbatch").at(0);
  EXPECT_EQ(command.arguments[0], dir_ + "/sbatch");
  for (const char* argument : {"--parsable", "--no-requeue", "--job-name=atelier-a-job-2",
                               "--comment=atelier:here/a-job/2", "--cpus-per-task=3", "--mem=2176M",
                               "--open-mode=append", "--partition=train"}) {
    EXPECT_THAT(command.arguments, Contains(argument));
  }
  EXPECT_EQ(command.arguments.back(), "--time=5") << "what a job gives counts";
  EXPECT_THAT(command.arguments,
              Contains(absl::StrCat("--output=", dir_, "/attempts/2/worker.log")));
  EXPECT_THAT(command.arguments, Not(Contains("--gres=gpu:1")));
  EXPECT_EQ(command.input, absl::StrCat("#!/bin/sh\nexec '", dir_,
                                        "/atelier-worker' '--server=10.0.0.1:50052' '--job=a-job' "
                                        "'--attempt=2'\n"));
  EXPECT_TRUE(std::filesystem::is_directory(dir_ + "/attempts/2"));
}

TEST_F(SlurmEngineTest, OneNodesScriptIsItsWorker) {
  Launch();
  const launch::Command command = slurm_.calls("sbatch").at(0);
  for (const char* argument : {"--nodes=1", "--ntasks=1", "--signal=B:TERM@60"}) {
    EXPECT_THAT(command.arguments, Contains(argument));
  }
  EXPECT_THAT(command.arguments, Not(Contains(HasSubstr("--ntasks-per-node"))));
  EXPECT_THAT(command.input, Not(HasSubstr("srun")));
}

TEST_F(SlurmEngineTest, SeveralNodesHaveAWorkerEach) {
  auto request = Request();
  request.resources.nodes = 2;
  ASSERT_TRUE(executor_->Launch(request).ok());
  const launch::Command command = slurm_.calls("sbatch").at(0);
  for (const char* argument : {"--nodes=2", "--ntasks=2", "--ntasks-per-node=1",
                               "--cpus-per-task=3", "--mem=2176M", "--signal=TERM@60"}) {
    EXPECT_THAT(command.arguments, Contains(argument));
  }
  EXPECT_THAT(
      command.input,
      StartsWith(absl::StrCat("#!/bin/sh\nexec '", dir_,
                              "/srun' '--ntasks=2' '--ntasks-per-node=1' '--cpus-per-task=3' "
                              "'--mpi=none' '--kill-on-bad-exit=1' '--wait=0' '",
                              dir_, "/atelier-worker' '--server=10.0.0.1:50052' '--job=a-job' ")));
}

TEST_F(SlurmEngineTest, WorkersThatCopyNeedNothingOfTheDataDirectory) {
  auto worker = WorkerSettings();
  worker.cache_dir = "/var/cache/atelier";
  worker.cache_bytes = 1000;
  worker.certificate_text = "PEM";
  auto engine = SlurmEngine::Create(SlurmSettings(), worker, slurm_.runner());
  ASSERT_TRUE(engine.ok()) << engine.status();
  ASSERT_TRUE((*engine)->Submit(Request(), "atelier:here/a-job/1").ok());
  const launch::Command command = slurm_.calls("sbatch").at(0);
  EXPECT_THAT(command.arguments, Contains("--output=/dev/null"));
  EXPECT_THAT(command.arguments, Contains("--chdir=/"));
  EXPECT_THAT(command.environment, Contains("ATELIER_SERVER_CERTIFICATE=PEM"));
  EXPECT_THAT(command.input, HasSubstr("'--cache_dir=/var/cache/atelier' '--cache_bytes=1000'"));
  // But for the command itself.
  for (std::size_t i = 1; i < command.arguments.size(); ++i) {
    EXPECT_THAT(command.arguments[i], Not(HasSubstr(dir_)));
  }
}

TEST_F(SlurmEngineTest, TokenIsInTheEnvironmentAndNowhereElse) {
  Launch();
  const launch::Command command = slurm_.calls("sbatch").at(0);
  EXPECT_THAT(command.environment, Contains("ATELIER_WORKER_TOKEN=s3cret"));
  EXPECT_THAT(absl::StrJoin(command.arguments, " "), Not(HasSubstr("s3cret")));
  EXPECT_THAT(command.input, Not(HasSubstr("s3cret")));
  Pass(absl::Seconds(2));
  EXPECT_THAT(slurm_.calls("squeue").at(0).environment,
              Not(Contains("ATELIER_WORKER_TOKEN=s3cret")));
}

TEST_F(SlurmEngineTest, JobOnAGpuAsksForIt) {
  auto request = Request();
  request.resources.gpus = 1;
  ASSERT_TRUE(executor_->Launch(request).ok());
  EXPECT_THAT(slurm_.calls("sbatch").at(0).arguments, Contains("--gres=gpu:1"));
  EXPECT_TRUE(executor_->has_gpus());
}

TEST_F(SlurmEngineTest, TellsHowAJobStands) {
  const std::string handle = Launch();
  Pass(absl::Seconds(1));
  EXPECT_EQ(Last(handle), "pending Slurm job 12 waits: Priority");
  slurm_.Set("12", {.state = "RUNNING", .reason = "None", .node = "n2"});
  Pass(absl::Seconds(1));
  EXPECT_EQ(Last(handle), "running node n2, Slurm job 12");
  slurm_.Set("12", {.state = "FAILED", .node = "n2", .exit_code = "9:0"});
  Pass(absl::Seconds(1));
  EXPECT_EQ(Last(handle), "ended exited with code 9, Slurm job 12 on node n2");
  Pass(absl::Seconds(10));
  EXPECT_EQ(Ends(handle), 1);
}

TEST_F(SlurmEngineTest, AsksOnceASecondForAllJobsAndNotAtAllWithoutAny) {
  Pass(absl::Seconds(1));
  const std::size_t before = slurm_.calls("squeue").size();
  Pass(absl::Hours(1));
  EXPECT_EQ(slurm_.calls("squeue").size(), before);
  EXPECT_EQ(executor_->Tick(), absl::InfiniteDuration());
  Launch(1);
  Launch(2);
  Launch(3);
  Pass(absl::Seconds(10));
  EXPECT_LE(slurm_.calls("squeue").size(), before + 12);
  EXPECT_GE(slurm_.calls("squeue").size(), before + 9);
}

TEST_F(SlurmEngineTest, ControllerThatIsDownEndsNothing) {
  const std::string handle = Launch();
  slurm_.Set("12", {.state = "RUNNING", .reason = "None", .node = "n1"});
  Pass(absl::Seconds(1));
  slurm_.SetDown(true);
  const std::size_t before = slurm_.calls("squeue").size();
  Pass(absl::Minutes(10));
  EXPECT_EQ(Last(handle), "running node n1, Slurm job 12");
  EXPECT_LE(slurm_.calls("squeue").size(), before + 30) << "it is asked less often";
  EXPECT_THAT(logged_, Contains(HasSubstr("Unable to contact slurm controller")));
  slurm_.SetDown(false);
  slurm_.Set("12", {.state = "COMPLETED", .node = "n1"});
  Pass(absl::Seconds(31));
  EXPECT_EQ(Last(handle), "ended exited with code 0, Slurm job 12 on node n1");
}

TEST_F(SlurmEngineTest, NonsenseAndTimeoutsAreNoAnswers) {
  const std::string handle = Launch();
  slurm_.Set("12", {.state = "RUNNING", .reason = "None", .node = "n1"});
  Pass(absl::Seconds(1));
  const std::vector<absl::StatusOr<launch::CommandResult>> answers = {
      launch::CommandResult{.exit_code = 0, .output = "Welcome!\n", .errors = {}},
      launch::CommandResult{.exit_code = 0, .output = "12|RUN", .errors = {}},
      absl::DeadlineExceededError("squeue took longer than 10s"),
      absl::ResourceExhaustedError("squeue printed more than 16777216 bytes"),
      absl::UnavailableError("cannot run squeue: No such file or directory")};
  for (const auto& answer : answers) {
    slurm_.Answer("squeue", answer);
    Pass(absl::Minutes(2));
    EXPECT_EQ(Last(handle), "running node n1, Slurm job 12");
    slurm_.AnswerAgain("squeue");
    Pass(absl::Minutes(1));
    EXPECT_EQ(Ends(handle), 0);
  }
}

TEST_F(SlurmEngineTest, HowItEndedIsAskedUntilThatIsAnswered) {
  const std::string handle = Launch();
  slurm_.Set("12", {.state = "FAILED", .node = "n1", .exit_code = "0:9"});
  slurm_.Answer("scontrol", launch::CommandResult{.exit_code = 1, .output = {}, .errors = "busy"});
  Pass(absl::Seconds(5));
  EXPECT_EQ(Ends(handle), 0);
  slurm_.AnswerAgain("scontrol");
  Pass(absl::Seconds(1));
  EXPECT_EQ(Last(handle), "ended killed by signal 9, Slurm job 12 on node n1");
}

TEST_F(SlurmEngineTest, KillingIsRepeatedUntilItIsTrue) {
  const std::string handle = Launch();
  slurm_.Set("12", {.state = "RUNNING", .reason = "None", .node = "n1"});
  Pass(absl::Seconds(1));
  slurm_.Answer("scancel", launch::CommandResult{.exit_code = 1, .output = {}, .errors = "no"});
  executor_->Kill(handle);
  EXPECT_THAT(slurm_.calls("scancel"), IsEmpty()) << "Kill itself runs nothing";
  Pass(absl::Seconds(20));
  EXPECT_GE(slurm_.calls("scancel").size(), 3u);
  EXPECT_THAT(slurm_.calls("scancel").at(0).arguments, Contains("--signal=KILL"));
  slurm_.AnswerAgain("scancel");
  Pass(absl::Seconds(7));
  EXPECT_EQ(Last(handle), "ended CANCELLED, Slurm job 12 on node n1");
  const std::size_t calls = slurm_.calls("scancel").size();
  Pass(absl::Minutes(1));
  EXPECT_EQ(slurm_.calls("scancel").size(), calls);
}

TEST_F(SlurmEngineTest, RefusalsAreForGoodAndTroublePasses) {
  const auto refuse = [&](const std::string& errors) {
    slurm_.Answer("sbatch", launch::CommandResult{.exit_code = 1, .output = {}, .errors = errors});
    return executor_->Launch(Request()).status();
  };
  const absl::Status refused = refuse("sbatch: error: invalid partition specified: nowhere\n");
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("invalid partition specified: nowhere"));
  const absl::Status later = refuse("sbatch: error: Unable to contact slurm controller\n");
  EXPECT_EQ(later.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(refuse("").code(), absl::StatusCode::kUnavailable);
  slurm_.Answer("sbatch",
                launch::CommandResult{.exit_code = 0, .output = "thanks!\n", .errors = {}});
  EXPECT_EQ(executor_->Launch(Request()).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(SlurmEngineTest, JobWhoseAnswerWasLostIsCancelledAndNotDoubled) {
  Pass(absl::Seconds(2));
  slurm_.LoseNextAnswer();
  EXPECT_FALSE(executor_->Launch(Request()).ok());
  ASSERT_EQ(slurm_.job("12").state, "PENDING");
  const std::string handle = Launch();
  Pass(absl::Seconds(2));
  EXPECT_EQ(slurm_.job("12").state, "CANCELLED");
  EXPECT_EQ(slurm_.job("13").state, "PENDING");
  EXPECT_EQ(Last(handle), "pending Slurm job 13 waits: Priority");
  EXPECT_THAT(logged_, Contains(HasSubstr("belongs to no attempt")));
}

TEST_F(SlurmEngineTest, NextServerFindsWhatIsThere) {
  const std::string pending = Launch(1);
  const std::string ended = Launch(2);
  const std::string gone = Launch(3);
  const std::string stray = Launch(4);
  slurm_.Set("13", {.state = "PREEMPTED", .node = "n1"});
  slurm_.Set("14", {.listed = false});
  Boot();
  EXPECT_EQ(*executor_->Find("a-job", 4, "s3cret"), stray);
  EXPECT_TRUE(absl::IsNotFound(executor_->Find("a-job", 5, "s3cret").status()));
  EXPECT_TRUE(absl::IsNotFound(executor_->Find("a-job", 2, "s3cret").status())) << "it has ended";
  const auto adopted = executor_->Adopt(pending);
  ASSERT_TRUE(adopted.ok());
  EXPECT_EQ(std::get<jobs::LaunchPending>(*adopted).why, "Slurm job 12 waits: Priority");
  const auto known = executor_->Adopt(ended);
  ASSERT_TRUE(known.ok());
  EXPECT_EQ(std::get<jobs::ProcessEnd>(*known).cause, Cause::kPreempted);
  EXPECT_TRUE(absl::IsNotFound(executor_->Adopt(gone).status()));
  EXPECT_EQ(executor_->Adopt("4711:77:boot").status().code(), absl::StatusCode::kInvalidArgument);
  Pass(absl::Seconds(5));
  EXPECT_EQ(slurm_.job("15").state, "PENDING") << "as long as it may still be wanted";
  executor_->Recovered();
  Pass(absl::Seconds(5));
  EXPECT_EQ(slurm_.job("15").state, "CANCELLED");
  EXPECT_EQ(slurm_.job("12").state, "PENDING");
}

TEST_F(SlurmEngineTest, JobsAreAdoptedWhileSlurmIsDown) {
  const std::string handle = Launch();
  slurm_.SetDown(true);
  Boot();
  const auto adopted = executor_->Adopt(handle);
  ASSERT_TRUE(adopted.ok()) << adopted.status();
  EXPECT_THAT(std::get<jobs::LaunchPending>(*adopted).why, HasSubstr("Unable to contact"));
  executor_->Recovered();
  Pass(absl::Minutes(5));
  EXPECT_EQ(Ends(handle), 0);
  slurm_.SetDown(false);
  slurm_.Set("12", {.state = "RUNNING", .reason = "None", .node = "n1"});
  Pass(absl::Seconds(31));
  EXPECT_EQ(Last(handle), "running node n1, Slurm job 12");
}

TEST_F(SlurmEngineTest, ProgramsThatAreNotThereAreNamed) {
  std::filesystem::remove(dir_ + "/squeue");
  const auto missing = SlurmEngine::Create(SlurmSettings(), WorkerSettings(), slurm_.runner());
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr(dir_ + "/squeue"));
  auto worker = WorkerSettings();
  worker.program = dir_ + "/no-worker";
  const auto no_worker = SlurmEngine::Create(SlurmSettings(), worker, slurm_.runner());
  EXPECT_THAT(std::string(no_worker.status().message()), HasSubstr("no-worker"));
}

TEST(SlurmStatusTest, SaysHowAJobStands) {
  const auto why = [](const std::string& state, const std::string& reason = "None") {
    return std::get<jobs::LaunchPending>(*StatusOf({"12", state, reason, "", ""})).why;
  };
  EXPECT_EQ(why("PENDING"), "Slurm job 12 has not been considered yet");
  EXPECT_EQ(why("PENDING", "Priority"), "Slurm job 12 waits: Priority");
  EXPECT_THAT(why("CONFIGURING"), HasSubstr("waits for its node to start"));
  EXPECT_THAT(why("SUSPENDED"), HasSubstr("does not run: SUSPENDED"));
  for (const char* state : {"RUNNING", "COMPLETING"}) {
    const auto status = *StatusOf({"12", state, "None", "n1", ""});
    EXPECT_EQ(std::get<jobs::LaunchRunning>(status).where, "node n1, Slurm job 12");
  }
  for (const char* nodes : {"n[1-2]", "n1,m7"}) {
    const auto status = *StatusOf({"12", "RUNNING", "None", nodes, ""});
    EXPECT_EQ(std::get<jobs::LaunchRunning>(status).where,
              absl::StrCat("nodes ", nodes, ", Slurm job 12"));
  }
  EXPECT_EQ(std::get<jobs::ProcessEnd>(*StatusOf({"12", "PREEMPTED", "", "n1", ""})).cause,
            Cause::kPreempted);
  EXPECT_FALSE(StatusOf({"12", "NEVER_HEARD_OF", "", "", ""}).has_value());
}

TEST(EndOfTest, SaysHowAndWhere) {
  EXPECT_EQ(EndOf("12", {"FAILED", "n1", 9, 0}).how, "exited with code 9, Slurm job 12 on node n1");
  EXPECT_EQ(EndOf("12", {"FAILED", "n1", 4, 0}).cause, Cause::kServerUnreachable);
  EXPECT_EQ(EndOf("12", {"FAILED", "n1", 5, 0}).cause, Cause::kOutOfMemory);
  EXPECT_EQ(EndOf("12", {"FAILED", "n1", 0, 9}).how, "killed by signal 9, Slurm job 12 on node n1");
  EXPECT_EQ(EndOf("12", {"FAILED", "n[1-2]", 137, 0}).how,
            "killed by signal 9, Slurm job 12 on nodes n[1-2]");
  EXPECT_EQ(EndOf("12", {"FAILED", "n[1-2]", 253, 0}).cause, Cause::kOutOfMemory);
  EXPECT_THAT(EndOf("12", {"FAILED", "n1", 0, 53}).how, HasSubstr("its folder is not on the node"));
  EXPECT_EQ(EndOf("12", {"OUT_OF_MEMORY", "n1", 0, 125}).cause, Cause::kOutOfMemory);
  EXPECT_EQ(EndOf("12", {"PREEMPTED", "n1", 0, 15}).cause, Cause::kPreempted);
  EXPECT_EQ(EndOf("12", {"NODE_FAIL", "n1", 0, 0}).how, "NODE_FAIL, Slurm job 12 on node n1");
  EXPECT_EQ(EndOf("12", {"NODE_FAIL", "n1", 0, 0}).cause, Cause::kUnknown);
}

}  // namespace
}  // namespace atelier::slurm
