#include "server/kubernetes/job_template.h"

#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/kubernetes/json_fields.h"

namespace atelier::kubernetes {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

json Good() {
  return json::parse(R"({"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": {
      "containers": [{"name": "log", "image": "log:1"}, {"name": "worker", "image": "atelier:1"}]}}}})");
}

std::string Complaint(const json& patch) {
  json job = Good();
  job.merge_patch(patch);
  return std::string(JobTemplate::Parse(job.dump()).status().message());
}

json JobOf(const json& job, const std::string& log = "/data/worker.log", int nodes = 1) {
  jobs::LaunchRequest request;
  request.job_id = "a-job";
  request.resources.nodes = nodes;
  const JobTemplate::Launch launch = {.name = "atelier:here/a-job/1",
                                      .server_id = "here",
                                      .arguments = {"/usr/bin/atelier-worker", "--job=a-job"},
                                      .environment = {"A=b=c"},
                                      .log = log,
                                      .gpu_resource = {}};
  return JobTemplate::Parse(job.dump())->JobOf(request, launch, "atelier-a-job-1-0");
}

TEST(JobTemplateTest, SaysWhatIsWrong) {
  EXPECT_THAT(std::string(JobTemplate::Parse("kind: Job").status().message()),
              HasSubstr("it is not JSON; `kubectl create"));
  EXPECT_THAT(std::string(JobTemplate::Parse("[]").status().message()), HasSubstr("not JSON"));
  EXPECT_THAT(Complaint({{"kind", "Pod"}}), HasSubstr("not a Job of batch/v1"));
  EXPECT_THAT(Complaint({{"spec", nullptr}}), HasSubstr("no spec.template.spec"));
  EXPECT_THAT(Complaint({{"metadata", 5}}), HasSubstr("metadata is not an object"));
  const auto pod = [](const json& spec) {
    return Complaint({{"spec", {{"template", {{"spec", spec}}}}}});
  };
  EXPECT_THAT(pod({{"containers", json::array({{{"name", "other"}}})}}),
              HasSubstr("no container named worker"));
  EXPECT_THAT(pod({{"containers", "worker"}}), HasSubstr("no container named worker"));
  EXPECT_THAT(pod({{"hostNetwork", true}}), HasSubstr("hostNetwork is set"));
  EXPECT_THAT(pod({{"hostPID", "yes"}}), HasSubstr("hostPID is set"));
  EXPECT_THAT(
      pod({{"initContainers",
            json::array({{{"name", "init"}, {"securityContext", {{"privileged", true}}}}})}}),
      HasSubstr("container init is privileged"));
  EXPECT_THAT(pod({{"restartPolicy", "OnFailure"}}), HasSubstr("has to be \"Never\""));
  EXPECT_THAT(Complaint({{"spec", {{"backoffLimit", 3}}}}), HasSubstr("backoffLimit is 3"));
  EXPECT_THAT(pod({{"containers", json::array({{{"name", "worker"}, {"command", {1}}}})}}),
              HasSubstr("not a list of words"));
}

TEST(JobTemplateTest, WithoutALogTheWorkerIsTheCommand) {
  const json job = JobOf(Good(), "");
  const json& worker = FieldOf(job, "/spec/template/spec/containers/1");
  EXPECT_EQ(FieldOf(worker, "/command"), json{"/usr/bin/atelier-worker"});
  EXPECT_EQ(FieldOf(worker, "/args"), json{"--job=a-job"});
}

TEST(JobTemplateTest, SeveralNodesAreAnIndexedJobWhosePodsKeepApart) {
  const json one = JobOf(Good());
  EXPECT_EQ(FieldOf(one, "/spec/completions"), json(1));
  EXPECT_TRUE(FieldOf(one, "/spec/completionMode").is_null());
  EXPECT_TRUE(FieldOf(one, "/spec/template/spec/affinity").is_null());
  const json job = JobOf(Good(), "", 3);
  EXPECT_EQ(TextOf(job, "/spec/completionMode"), "Indexed");
  EXPECT_EQ(FieldOf(job, "/spec/completions"), json(3));
  EXPECT_EQ(FieldOf(job, "/spec/parallelism"), json(3));
  EXPECT_EQ(FieldOf(job, "/spec/backoffLimit"), json(0)) << "one that fails ends all";
  const json& apart = FieldOf(job,
                              "/spec/template/spec/affinity/podAntiAffinity/"
                              "preferredDuringSchedulingIgnoredDuringExecution/0/podAffinityTerm");
  EXPECT_EQ(TextOf(apart, "/topologyKey"), "kubernetes.io/hostname");
  EXPECT_EQ(TextOf(apart, "/labelSelector/matchLabels/job-name"), "atelier-a-job-1-0");
}

TEST(JobTemplateTest, AffinityOfTheOperatorIsLeftAsItIs) {
  json given = Good();
  const json affinity = {{"podAffinity", json::object()}};
  given["spec"]["template"]["spec"]["affinity"] = affinity;
  EXPECT_EQ(FieldOf(JobOf(given, "", 2), "/spec/template/spec/affinity"), affinity);
}

TEST(JobTemplateTest, KeepsWhatTheOperatorChose) {
  json given = Good();
  given["metadata"] = {{"name", "mine"}, {"namespace", "other"}, {"labels", {{"team", "vision"}}}};
  given["spec"]["ttlSecondsAfterFinished"] = 60;
  given["spec"]["template"]["spec"]["nodeSelector"] = {{"disk", "fast"}};
  given["spec"]["template"]["spec"]["containers"][1]["command"] = {"/opt/worker", "--fast"};
  const json job = JobOf(given);
  EXPECT_EQ(TextOf(job, "/metadata/name"), "atelier-a-job-1-0");
  EXPECT_TRUE(FieldOf(job, "/metadata/namespace").is_null());
  EXPECT_EQ(TextOf(job, "/metadata/labels/team"), "vision");
  EXPECT_EQ(FieldOf(job, "/spec/ttlSecondsAfterFinished"), json(60));
  EXPECT_EQ(TextOf(job, "/spec/template/spec/nodeSelector/disk"), "fast");
  const json& worker = FieldOf(job, "/spec/template/spec/containers/1");
  EXPECT_EQ(FieldOf(worker, "/command"), (json{"/bin/sh", "-c", R"(exec "$@" >>"$0" 2>&1)",
                                               "/data/worker.log", "/opt/worker", "--fast"}));
  EXPECT_EQ(TextOf(worker, "/env/0/name"), "A");
  EXPECT_EQ(TextOf(worker, "/env/0/value"), "b=c");
}

TEST(JobTemplateTest, PodsGetNoTokenOfTheClusterUnlessTheOperatorSaysSo) {
  const char* const field = "/spec/template/spec/automountServiceAccountToken";
  EXPECT_EQ(FieldOf(JobOf(Good()), field), json(false));
  json given = Good();
  given["spec"]["template"]["spec"]["automountServiceAccountToken"] = true;
  EXPECT_EQ(FieldOf(JobOf(given), field), json(true));
}

TEST(JobNameTest, IsShortEnoughForItsPods) {
  EXPECT_EQ(JobName("a-job", 3, "0a1b2c"), "atelier-a-job-3-0a1b2c");
  const std::string name = JobName(std::string(63, 'x'), 12, "0a1b2c");
  EXPECT_EQ(name.size(), 52u);
  EXPECT_THAT(name, testing::EndsWith("x-12-0a1b2c"));
}

}  // namespace
}  // namespace atelier::kubernetes
