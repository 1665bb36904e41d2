#include "server/kubernetes/kubernetes_engine.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/remote/remote_executor.h"
#include "tests/unit/kubernetes/fake_cluster.h"

namespace atelier::kubernetes {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using Cause = jobs::ProcessEnd::Cause;

constexpr char kTemplate[] = R"({
  "apiVersion": "batch/v1", "kind": "Job",
  "metadata": {"name": "mine", "labels": {"kueue.x-k8s.io/queue-name": "lab"}},
  "spec": {"template": {"spec": {"containers": [
    {"name": "worker", "image": "atelier:1", "env": [{"name": "TZ", "value": "UTC"}]}]}}}})";

class SetClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::FromUnixSeconds(1'700'000'000) + elapsed; }
  absl::Duration Elapsed() const override { return elapsed; }

  absl::Duration elapsed = absl::Seconds(100);
};

json RunningPod() {
  return {{"phase", "Running"},
          {"containerStatuses",
           json::array({{{"name", "worker"}, {"state", {{"running", json::object()}}}}})}};
}

json EndedPod(int code, const std::string& reason = "Error") {
  return {{"phase", code == 0 ? "Succeeded" : "Failed"},
          {"containerStatuses",
           json::array({{{"name", "worker"},
                         {"state", {{"terminated", {{"exitCode", code}, {"reason", reason}}}}}}})}};
}

json WaitingPod(const std::string& reason, const std::string& message) {
  return {{"phase", "Pending"},
          {"startTime", absl::FormatTime(absl::RFC3339_full, absl::FromUnixSeconds(1'700'000'100),
                                         absl::UTCTimeZone())},
          {"containerStatuses",
           json::array({{{"name", "worker"},
                         {"state", {{"waiting", {{"reason", reason}, {"message", message}}}}}}})}};
}

class KubernetesEngineTest : public testing::Test {
 protected:
  KubernetesEngineTest() {
    std::string pattern = testing::TempDir() + "/kubernetes-XXXXXX";
    dir_ = mkdtemp(pattern.data());
    std::ofstream(dir_ + "/atelier-worker") << "#!/bin/false\n";
    chmod((dir_ + "/atelier-worker").c_str(), 0755);
    Boot();
    executor_->Recovered();
  }
  ~KubernetesEngineTest() override { std::filesystem::remove_all(dir_); }

  std::unique_ptr<KubernetesEngine> MakeEngine() {
    KubernetesOptions options{.api = {},
                              .name_space = "lab",
                              .gpu_resource = "nvidia.com/gpu",
                              .job = *JobTemplate::Parse(kTemplate)};
    auto engine = KubernetesEngine::Create({.kubernetes = std::move(options), .server_id = "here"},
                                           {.program = dir_ + "/atelier-worker",
                                            .server_address = "atelier-workers:50052",
                                            .server_certificate = {}},
                                           cluster_.api(), &clock_);
    EXPECT_TRUE(engine.ok()) << engine.status();
    return *std::move(engine);
  }

  // A server begins, after the end of the one before.
  void Boot() {
    executor_.reset();
    remote::RemoteExecutor::Options options;
    options.server_id = "here";
    options.log = [this](const std::string& sentence) { logged_.push_back(sentence); };
    options.own_thread = false;
    executor_ = std::make_unique<remote::RemoteExecutor>(options, MakeEngine(), &clock_);
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

  jobs::LaunchRequest Request(int attempt = 1) const {
    jobs::LaunchRequest request;
    request.job_id = "a-job";
    request.attempt = attempt;
    request.token = "s3cret";
    request.attempt_dir = absl::StrCat(dir_, "/attempts/", attempt);
    request.resources = {.cores = 3, .memory_bytes = std::int64_t{2} << 30, .gpus = 1};
    return request;
  }
  std::string Launch(int attempt = 1, int nodes = 1) {
    jobs::LaunchRequest request = Request(attempt);
    request.resources.nodes = nodes;
    const auto launched = executor_->Launch(request);
    EXPECT_TRUE(launched.ok()) << launched.status();
    return launched.ok() ? launched->handle : "";
  }
  std::string Job(int attempt = 1) const {
    return cluster_.JobOf(absl::StrCat("atelier:here/a-job/", attempt));
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

  std::string dir_;
  SetClock clock_;
  FakeCluster cluster_;
  std::vector<std::string> logged_;
  std::map<std::string, std::vector<std::string>> told_;
  std::map<std::string, Cause> cause_;
  std::unique_ptr<remote::RemoteExecutor> executor_;
};

TEST_F(KubernetesEngineTest, CreatesAJobForAnAttemptFromTheTemplate) {
  Launch(2);
  const auto call = cluster_.calls("POST", "/jobs").at(0);
  EXPECT_EQ(call.path, "/apis/batch/v1/namespaces/lab/jobs");
  const json& job = call.body;
  EXPECT_THAT(TextOf(job, "/metadata/name"), testing::MatchesRegex("atelier-a-job-2-[0-9a-f]{6}"));
  EXPECT_EQ(TextOf(job, "/metadata/labels/kueue.x-k8s.io~1queue-name"), "lab");
  EXPECT_EQ(TextOf(job, "/metadata/labels/atelier.server"), "here");
  EXPECT_EQ(TextOf(job, "/spec/template/metadata/labels/atelier.server"), "here");
  EXPECT_EQ(TextOf(job, "/metadata/annotations/atelier.launch"), "atelier:here/a-job/2");
  EXPECT_EQ(FieldOf(job, "/spec/backoffLimit"), json(0));
  EXPECT_EQ(TextOf(job, "/spec/template/spec/restartPolicy"), "Never");
  const json& worker = FieldOf(job, "/spec/template/spec/containers/0");
  EXPECT_EQ(TextOf(worker, "/image"), "atelier:1");
  for (const char* kind : {"/resources/requests", "/resources/limits"}) {
    EXPECT_EQ(FieldOf(worker, kind),
              (json{{"cpu", "3"}, {"memory", "2176Mi"}, {"nvidia.com/gpu", "1"}}));
  }
  EXPECT_EQ(FieldOf(worker, "/command"),
            (json{"/bin/sh", "-c", R"(exec "$@" >>"$0" 2>&1)", dir_ + "/attempts/2/worker.log",
                  dir_ + "/atelier-worker"}));
  EXPECT_EQ(FieldOf(worker, "/args"),
            (json{"--server=atelier-workers:50052", "--job=a-job", "--attempt=2"}));
  EXPECT_TRUE(std::filesystem::is_directory(dir_ + "/attempts/2"));
}

TEST_F(KubernetesEngineTest, TokenIsInASecretOfTheJobAndNowhereElse) {
  Launch();
  const auto job = cluster_.calls("POST", "/jobs").at(0).body;
  EXPECT_THAT(job.dump(), Not(HasSubstr("s3cret")));
  const json& variables = FieldOf(job, "/spec/template/spec/containers/0/env");
  const json& token = variables.back();
  EXPECT_EQ(TextOf(token, "/name"), "ATELIER_WORKER_TOKEN");
  EXPECT_EQ(TextOf(token, "/valueFrom/secretKeyRef/name"), Job());
  EXPECT_EQ(TextOf(variables.front(), "/name"), "TZ") << "the template's stay";
  const auto secret = cluster_.calls("POST", "/secrets").at(0).body;
  EXPECT_EQ(TextOf(secret, "/stringData/token"), "s3cret");
  EXPECT_EQ(TextOf(secret, "/metadata/ownerReferences/0/uid"), "uid-" + Job());
}

TEST_F(KubernetesEngineTest, JobWithoutASecretIsDeleted) {
  cluster_.Answer("POST", "/api/v1/namespaces/lab/secrets",
                  absl::PermissionDeniedError("secrets is forbidden"));
  const auto launched = executor_->Launch(Request());
  EXPECT_EQ(launched.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(launched.status().message()), HasSubstr("secrets is forbidden"));
  EXPECT_EQ(cluster_.jobs(), 0u);
}

TEST_F(KubernetesEngineTest, TellsHowAPodStands) {
  const std::string handle = Launch();
  Pass(absl::Seconds(1));
  EXPECT_EQ(Last(handle),
            absl::StrCat("pending Kubernetes job ", Job(), " waits: it has no pod yet"));
  cluster_.SetPod(Job(),
                  {{"phase", "Pending"},
                   {"conditions", json::array({{{"type", "PodScheduled"},
                                                {"status", "False"},
                                                {"reason", "Unschedulable"},
                                                {"message", "0/1 nodes: Insufficient cpu"}}})}});
  Pass(absl::Seconds(1));
  EXPECT_THAT(Last(handle), HasSubstr("waits: Unschedulable: 0/1 nodes: Insufficient cpu"));
  cluster_.SetPod(Job(), RunningPod(), "n2");
  Pass(absl::Seconds(1));
  EXPECT_EQ(Last(handle), "running node n2, Kubernetes job " + Job());
  const std::string job = Job();
  cluster_.SetPod(job, EndedPod(9), "n2");
  Pass(absl::Seconds(1));
  EXPECT_EQ(Last(handle),
            absl::StrCat("ended exited with code 9, Kubernetes job ", job, " on node n2"));
  EXPECT_EQ(cluster_.jobs(), 0u) << "what has ended is not left behind";
}

TEST_F(KubernetesEngineTest, WhyThereIsNoPodIsAskedOfEvents) {
  const std::string handle = Launch();
  cluster_.Answer("GET", "/api/v1/namespaces/lab/events",
                  json{{"items", json::array({{{"type", "Warning"},
                                               {"reason", "FailedCreate"},
                                               {"message", "exceeded quota: small"}}})}});
  Pass(absl::Seconds(1));
  EXPECT_THAT(Last(handle), HasSubstr("has no pod: FailedCreate: exceeded quota: small"));
  cluster_.Edit(Job(), {{"spec", {{"suspend", true}}}});
  Pass(absl::Seconds(1));
  EXPECT_THAT(Last(handle), HasSubstr("waits: in Kueue's queue lab"));
}

TEST_F(KubernetesEngineTest, ImageThatCannotBePulledIsAReason) {
  const std::string handle = Launch();
  cluster_.SetPod(Job(), WaitingPod("ImagePullBackOff", "Back-off pulling image \"atelier:1\""));
  Pass(absl::Seconds(60));
  EXPECT_THAT(Last(handle), HasSubstr("waits: ImagePullBackOff: Back-off pulling image"));
  Pass(absl::Seconds(90));
  EXPECT_THAT(Last(handle), HasSubstr("will never run as it is asked for: ImagePullBackOff"));
  EXPECT_EQ(cause_[handle], Cause::kRefused);
  EXPECT_EQ(cluster_.jobs(), 0u);
}

TEST_F(KubernetesEngineTest, ImageNameThatIsNoneIsRefusedAtOnce) {
  const std::string handle = Launch();
  cluster_.SetPod(Job(), WaitingPod("InvalidImageName", "couldn't parse image name"));
  Pass(absl::Seconds(4));
  EXPECT_EQ(cause_[handle], Cause::kRefused);
}

TEST_F(KubernetesEngineTest, EndsHaveTheirCauses) {
  const auto end_of = [&](const json& pod, bool deleted = false) {
    const std::string handle = Launch();
    cluster_.SetPod(Job(), pod, "n1", deleted);
    Pass(absl::Seconds(1));
    return std::make_pair(cause_[handle], Last(handle));
  };
  EXPECT_EQ(end_of(EndedPod(137, "OOMKilled")).first, Cause::kOutOfMemory);
  EXPECT_EQ(end_of(EndedPod(4)).first, Cause::kServerUnreachable);
  EXPECT_EQ(end_of(EndedPod(0, "Completed")).first, Cause::kUnknown);
  json evicted = EndedPod(0, "Completed");
  evicted["conditions"] = json::array({{{"type", "DisruptionTarget"},
                                        {"status", "True"},
                                        {"reason", "EvictionByEvictionAPI"},
                                        {"message", "Eviction API: evicting"}}});
  const auto [cause, how] = end_of(evicted, true);
  EXPECT_EQ(cause, Cause::kPreempted);
  EXPECT_THAT(how, HasSubstr("EvictionByEvictionAPI: Eviction API: evicting"));
  EXPECT_EQ(end_of(EndedPod(0, "Completed"), true).first, Cause::kPreempted);
  EXPECT_EQ(end_of(EndedPod(5), true).first, Cause::kPreempted);
  const std::string handle = Launch();
  cluster_.Edit(Job(), {{"status",
                         {{"conditions", json::array({{{"type", "Failed"},
                                                       {"status", "True"},
                                                       {"reason", "BackoffLimitExceeded"}}})}}}});
  Pass(absl::Seconds(1));
  EXPECT_THAT(Last(handle), HasSubstr("its pod is gone: BackoffLimitExceeded"));
}

TEST_F(KubernetesEngineTest, JobOnSeveralNodesRunsWhenAllOfItsPodsRun) {
  const std::string handle = Launch(1, 2);
  cluster_.SetRank(Job(), 0, RunningPod(), "n1");
  cluster_.Answer("GET", "/api/v1/namespaces/lab/events",
                  json{{"items", json::array({{{"type", "Warning"},
                                               {"reason", "FailedCreate"},
                                               {"message", "exceeded quota: small"}}})}});
  Pass(absl::Seconds(1));
  EXPECT_THAT(Last(handle), HasSubstr("has 1 of 2 pods: FailedCreate: exceeded quota: small"));
  cluster_.Answer("GET", "/api/v1/namespaces/lab/events", std::nullopt);
  Pass(absl::Seconds(1));
  EXPECT_THAT(Last(handle), HasSubstr("waits: it has 1 of 2 pods so far"));
  cluster_.SetRank(Job(), 1, WaitingPod("ImagePullBackOff", "Back-off"), "n2");
  Pass(absl::Seconds(1));
  EXPECT_THAT(Last(handle), HasSubstr("waits: ImagePullBackOff: Back-off"));
  cluster_.SetRank(Job(), 1, RunningPod(), "n2");
  Pass(absl::Seconds(1));
  EXPECT_EQ(Last(handle), "running nodes n1, n2, Kubernetes job " + Job());
}

TEST_F(KubernetesEngineTest, ProcessThatHasDoneItsShareEndsNothing) {
  const std::string handle = Launch(1, 2);
  const std::string job = Job();
  cluster_.SetRank(job, 0, RunningPod(), "n1");
  cluster_.SetRank(job, 1, EndedPod(0, "Completed"), "n1");
  Pass(absl::Seconds(1));
  EXPECT_EQ(Last(handle), "running node n1, Kubernetes job " + job);
  json drained = EndedPod(0, "Completed");
  drained["conditions"] = json::array(
      {{{"type", "DisruptionTarget"}, {"status", "True"}, {"reason", "EvictionByEvictionAPI"}}});
  cluster_.SetRank(job, 1, drained, "n1");
  Pass(absl::Seconds(1));
  EXPECT_EQ(Last(handle), "running node n1, Kubernetes job " + job);
  cluster_.SetRank(job, 1, EndedPod(0, "Completed"), "n1");
  cluster_.SetRank(job, 0, EndedPod(0, "Completed"), "n1");
  Pass(absl::Seconds(1));
  EXPECT_EQ(Last(handle),
            absl::StrCat("ended exited with code 0, Kubernetes job ", job, " on node n1"));
}

TEST_F(KubernetesEngineTest, EndOfSeveralPodsIsTheOneThatSaysWhy) {
  const int lost = launch::WorkerCommand::kRankLostCode;
  const auto end_of = [&](const json& first, const json& second, bool second_deleted = false) {
    const std::string handle = Launch(1, 2);
    cluster_.SetRank(Job(), 0, first, "n1");
    cluster_.SetRank(Job(), 1, second, "n2", second_deleted);
    Pass(absl::Seconds(1));
    return std::make_pair(cause_[handle], Last(handle));
  };
  json evicted = EndedPod(0, "Completed");
  evicted["conditions"] = json::array(
      {{{"type", "DisruptionTarget"}, {"status", "True"}, {"reason", "PreemptionByScheduler"}}});
  EXPECT_EQ(end_of(EndedPod(lost), EndedPod(137, "OOMKilled")).first, Cause::kOutOfMemory);
  EXPECT_EQ(end_of(EndedPod(lost), evicted, true).first, Cause::kPreempted);
  EXPECT_EQ(end_of(EndedPod(4), EndedPod(lost)).first, Cause::kServerUnreachable);
  EXPECT_THAT(end_of(EndedPod(lost), EndedPod(9)).second, HasSubstr("code 9"));
  EXPECT_EQ(end_of(EndedPod(5), EndedPod(143), true).first, Cause::kOutOfMemory)
      << "Kubernetes deletes the other one";
  EXPECT_EQ(end_of(EndedPod(lost), EndedPod(5), true).first, Cause::kOutOfMemory)
      << "also one whose end it has not seen yet";
  EXPECT_THAT(end_of(RunningPod(), EndedPod(9)).second, HasSubstr("on node n2"));
  EXPECT_EQ(end_of(EndedPod(lost), EndedPod(lost), true).first, Cause::kUnknown)
      << "two that lost each other, of which Kubernetes deletes one";
  json before = EndedPod(7);
  json after = EndedPod(9);
  before["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = "2026-01-01T00:00:01Z";
  after["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = "2026-01-01T00:00:02Z";
  EXPECT_THAT(end_of(after, before).second, HasSubstr("code 7"));
}

TEST_F(KubernetesEngineTest, ProcessThatLostAnotherWaitsForThatOnesEnd) {
  const std::string handle = Launch(1, 2);
  cluster_.SetRank(Job(), 0, RunningPod(), "n1");
  cluster_.SetRank(Job(), 1, RunningPod(), "n2");
  Pass(absl::Seconds(1));
  cluster_.SetRank(Job(), 0, EndedPod(launch::WorkerCommand::kRankLostCode), "n1");
  Pass(absl::Seconds(1));
  EXPECT_THAT(Last(handle), HasSubstr("running nodes n1, n2"));
  cluster_.RemoveRank(Job(), 1);
  cluster_.Edit(Job(), {{"status",
                         {{"conditions", json::array({{{"type", "Failed"},
                                                       {"status", "True"},
                                                       {"reason", "BackoffLimitExceeded"}}})}}}});
  Pass(absl::Seconds(1));
  EXPECT_THAT(Last(handle), HasSubstr("on node n1"));
}

// Kubernetes takes an evicted pod whose worker ends well for one that has done its share.
TEST_F(KubernetesEngineTest, JobThatLosesAPodIsPreempted) {
  const std::string handle = Launch(1, 2);
  const std::string job = Job();
  cluster_.SetRank(job, 0, RunningPod(), "n1");
  cluster_.SetRank(job, 1, RunningPod(), "n2");
  Pass(absl::Seconds(1));
  cluster_.RemoveRank(job, 1);
  Pass(absl::Seconds(1));
  EXPECT_EQ(cause_[handle], Cause::kPreempted);
  Pass(absl::Seconds(10));
  EXPECT_EQ(cluster_.jobs(), 0u);
}

TEST_F(KubernetesEngineTest, APodThatIsBeingDeletedStillRuns) {
  const std::string handle = Launch();
  cluster_.SetPod(Job(), RunningPod(), "n1", true);
  Pass(absl::Seconds(1));
  EXPECT_THAT(Last(handle), HasSubstr("running node n1"));
}

TEST_F(KubernetesEngineTest, ApiServerThatIsAwayEndsNothing) {
  const std::string handle = Launch();
  cluster_.SetPod(Job(), RunningPod());
  Pass(absl::Seconds(1));
  const std::vector<absl::StatusOr<json>> answers = {
      absl::UnavailableError("connection refused"),
      json("Welcome!"),
      json::object(),
      json{{"items", "none"}},
      absl::PermissionDeniedError("jobs is forbidden"),
      absl::NotFoundError("no such path")};
  for (const auto& answer : answers) {
    cluster_.Answer("GET", "/apis", answer);
    const std::size_t before = cluster_.calls("GET", "/jobs").size();
    Pass(absl::Minutes(10));
    EXPECT_THAT(Last(handle), HasSubstr("running"));
    EXPECT_LE(cluster_.calls("GET", "/jobs").size(), before + 30) << "it is asked less often";
    cluster_.Answer("GET", "/apis", std::nullopt);
    Pass(absl::Minutes(1));
  }
  EXPECT_THAT(logged_, Contains(HasSubstr("connection refused")));
}

TEST_F(KubernetesEngineTest, ItemsOfAnyShapeAreTakenAsTheyAre) {
  const std::string handle = Launch();
  cluster_.Edit(Job(), {{"spec", 5}, {"status", "fine"}});
  for (const json& status : {json("fine"), json{{"phase", 7}}, json{{"phase", "Running"}},
                             json{{"phase", "Failed"}, {"containerStatuses", "none"}}}) {
    cluster_.SetPod(Job(), status);
    Pass(absl::Seconds(1));
  }
  EXPECT_THAT(Last(handle), HasSubstr("its pod ended without an exit code"));
}

TEST_F(KubernetesEngineTest, KillingIsRepeatedUntilItIsTrue) {
  const std::string handle = Launch();
  const std::string job = Job();
  cluster_.SetPod(job, RunningPod());
  Pass(absl::Seconds(1));
  cluster_.Answer("DELETE", "/apis", absl::UnavailableError("busy"));
  executor_->Kill(handle);
  EXPECT_THAT(cluster_.calls("DELETE", ""), IsEmpty()) << "Kill itself calls nothing";
  Pass(absl::Seconds(20));
  EXPECT_GE(cluster_.calls("DELETE", "/jobs/").size(), 3u);
  EXPECT_THAT(cluster_.calls("DELETE", "/pods?").at(0).path,
              HasSubstr("gracePeriodSeconds=0&labelSelector=job-name%3D" + job));
  cluster_.Answer("DELETE", "/apis", std::nullopt);
  Pass(absl::Seconds(10));
  EXPECT_EQ(Last(handle), absl::StrCat("ended Kubernetes job ", job, " is no longer listed"));
}

TEST_F(KubernetesEngineTest, RefusalsAreForGoodAndTroublePasses) {
  const auto refuse = [&](const absl::Status& status) {
    cluster_.Answer("POST", "/apis", status);
    return executor_->Launch(Request()).status();
  };
  const absl::Status refused = refuse(absl::InvalidArgumentError("spec.template: Required value"));
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("--kubernetes_job_template"));
  EXPECT_EQ(refuse(absl::PermissionDeniedError("exceeded quota")).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(refuse(absl::UnavailableError("connection refused")).code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(KubernetesEngineTest, JobWhoseAnswerWasLostIsDeletedAndNotDoubled) {
  Pass(absl::Seconds(2));
  cluster_.LoseNextAnswer();
  EXPECT_FALSE(executor_->Launch(Request()).ok());
  const std::string first = Job();
  const std::string handle = Launch();
  EXPECT_EQ(cluster_.jobs(), 2u);
  Pass(absl::Seconds(2));
  EXPECT_EQ(cluster_.jobs(), 1u);
  EXPECT_THAT(handle, testing::StartsWith(Job() + ":"));
  EXPECT_NE(Job(), first);
  EXPECT_THAT(logged_, Contains(HasSubstr("belongs to no attempt")));
}

TEST_F(KubernetesEngineTest, NextServerFindsWhatIsThere) {
  const std::string running = Launch(1);
  const std::string ended = Launch(2);
  const std::string stray = Launch(3);
  cluster_.SetPod(Job(1), RunningPod());
  cluster_.SetPod(Job(2), EndedPod(3));
  Boot();
  EXPECT_EQ(*executor_->Find("a-job", 3, "s3cret"), stray);
  EXPECT_TRUE(absl::IsNotFound(executor_->Find("a-job", 2, "s3cret").status())) << "it has ended";
  const auto adopted = executor_->Adopt(running);
  ASSERT_TRUE(adopted.ok());
  EXPECT_TRUE(std::holds_alternative<jobs::LaunchRunning>(*adopted));
  const auto known = executor_->Adopt(ended);
  ASSERT_TRUE(known.ok());
  EXPECT_THAT(std::get<jobs::ProcessEnd>(*known).how, HasSubstr("exited with code 3"));
  EXPECT_EQ(Job(2), "") << "what has ended is not left behind";
  executor_->Recovered();
  Pass(absl::Seconds(5));
  EXPECT_EQ(Job(3), "") << "what nobody wants is deleted";
  EXPECT_NE(Job(1), "");
}

TEST_F(KubernetesEngineTest, RingsWhenSomethingHappens) {
  std::promise<void> rung;
  const auto engine = MakeEngine();
  engine->SetBell([&rung] { rung.set_value(); });
  Launch();
  ASSERT_TRUE(engine->List().ok());
  cluster_.Happen();
  EXPECT_EQ(rung.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
  EXPECT_THAT(cluster_.calls("WATCH", "").at(0).path,
              HasSubstr("labelSelector=atelier.server%3Dhere&resourceVersion=7"));
}

TEST_F(KubernetesEngineTest, TakesNoArgumentsOfJobs) {
  EXPECT_TRUE(executor_->CheckArguments({}).ok());
  EXPECT_EQ(executor_->CheckArguments({"--time=5"}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(executor_->has_gpus());
}

}  // namespace
}  // namespace atelier::kubernetes
