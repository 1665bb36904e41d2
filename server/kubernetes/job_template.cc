#include "server/kubernetes/job_template.h"

#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/kubernetes/json_fields.h"

namespace atelier::kubernetes {
namespace {

using nlohmann::json;

constexpr char kPod[] = "/spec/template/spec";
constexpr char kTokenKey[] = "token";
constexpr std::int64_t kMebibyte = std::int64_t{1} << 20;
// Above what the job may use, so that its worker is the first to notice and says why.
constexpr std::int64_t kSpareMemory = 128 * kMebibyte;
// How long an ended Job stays for a server that was away; a server that is there deletes it.
constexpr int kSecondsAfterEnd = 24 * 3600;
// For a checkpoint.
constexpr int kGraceSeconds = 60;

absl::Status Wrong(absl::string_view what) { return absl::InvalidArgumentError(what); }

// The worker's among the pod's containers; null if there is none.
json* WorkerOf(json& pod) {
  if (!pod.contains("containers") || !pod["containers"].is_array()) return nullptr;
  for (json& container : pod["containers"]) {
    if (TextOf(container, "/name") == kContainer) return &container;
  }
  return nullptr;
}

absl::Status CheckPod(const json& pod) {
  for (const char* name : {"hostNetwork", "hostPID", "hostIPC"}) {
    const json& value = FieldOf(pod, absl::StrCat("/", name).c_str());
    if (!value.is_null() && value != json(false)) {
      return Wrong(absl::StrCat("spec.template.spec.", name,
                                " is set; workers get no part of their node's own"));
    }
  }
  for (const char* list : {"/containers", "/initContainers"}) {
    for (const json& container : ListOf(pod, list)) {
      if (FieldOf(container, "/securityContext/privileged") == json(true)) {
        return Wrong(absl::StrCat("container ", TextOf(container, "/name"),
                                  " is privileged; workers need no privilege"));
      }
    }
  }
  return absl::OkStatus();
}

// What an object must be for the paths that are written to later.
absl::Status CheckShapes(const json& job) {
  for (const char* path :
       {"/metadata", "/metadata/labels", "/metadata/annotations", "/spec", "/spec/template",
        "/spec/template/metadata", "/spec/template/metadata/labels", kPod}) {
    const json& field = FieldOf(job, path);
    if (!field.is_null() && !field.is_object()) {
      return Wrong(absl::StrCat(absl::StripPrefix(path, "/"), " is not an object"));
    }
  }
  return absl::OkStatus();
}

// Sets a field, or says what else stands there.
absl::Status Require(json& object, const char* where, const char* name, const json& value) {
  json& field = object[name];
  if (!field.is_null() && field != value) {
    return Wrong(absl::StrCat(where, ".", name, " is ", field.dump(), " but has to be ",
                              value.dump(), ", as an attempt is run once"));
  }
  field = value;
  return absl::OkStatus();
}

void SetResources(const jobs::ResourceRequest& request, const std::string& gpu_resource,
                  json* container) {
  json& resources = (*container)["resources"];
  if (!resources.is_object()) resources = json::object();
  const auto set = [&](const std::string& name, const std::string& amount) {
    for (const char* kind : {"requests", "limits"}) resources[kind][name] = amount;
  };
  set("cpu", absl::StrCat(request.cores));
  if (request.memory_bytes > 0) {
    const std::int64_t mebibytes =
        (request.memory_bytes + kSpareMemory + kMebibyte - 1) / kMebibyte;
    set("memory", absl::StrCat(mebibytes, "Mi"));
  }
  if (request.gpus > 0) set(gpu_resource, absl::StrCat(request.gpus));
}

void SetEnvironment(const std::vector<std::string>& variables, const std::string& secret,
                    json* container) {
  json& list = (*container)["env"];
  if (!list.is_array()) list = json::array();
  for (const std::string& variable : variables) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(variable, absl::MaxSplits('=', 1));
    list.push_back({{"name", parts.first}, {"value", parts.second}});
  }
  list.push_back({{"name", "ATELIER_WORKER_TOKEN"},
                  {"valueFrom", {{"secretKeyRef", {{"name", secret}, {"key", kTokenKey}}}}}});
}

// The worker's command line, with what it prints in its log, if that is a file. A container that
// names a command has the worker's program by that.
void SetCommand(const std::vector<std::string>& arguments, const std::string& log,
                json* container) {
  std::vector<std::string> program = {arguments.front()};
  if (const json& given = ListOf(*container, "/command"); !given.empty()) {
    program = given.get<std::vector<std::string>>();
  }
  std::vector<std::string> command;
  if (!log.empty()) command = {"/bin/sh", "-c", R"(exec "$@" >>"$0" 2>&1)", log};
  command.insert(command.end(), program.begin(), program.end());
  (*container)["command"] = command;
  (*container)["args"] = std::vector<std::string>(arguments.begin() + 1, arguments.end());
}

// A pod for each process, all at once, each on a node of its own where there are as many.
void SetNodes(int nodes, const std::string& job_name, json* job) {
  json& spec = (*job)["spec"];
  spec["completionMode"] = "Indexed";
  spec["completions"] = nodes;
  spec["parallelism"] = nodes;
  const json others = {{"labelSelector", {{"matchLabels", {{"job-name", job_name}}}}},
                       {"topologyKey", "kubernetes.io/hostname"}};
  const json preferred = {{"weight", 100}, {"podAffinityTerm", others}};
  json& affinity = (*job)[json::json_pointer(kPod)]["affinity"];
  if (!affinity.is_null()) return;  // The operator's.
  affinity["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] =
      json::array({preferred});
}

}  // namespace

absl::StatusOr<JobTemplate> JobTemplate::Parse(absl::string_view text) {
  json job = json::parse(text, nullptr, /*allow_exceptions=*/false, /*ignore_comments=*/true);
  if (!job.is_object()) {
    return Wrong(
        "it is not JSON; `kubectl create --dry-run=client -o json -f job.yaml` makes it from YAML");
  }
  if (TextOf(job, "/kind") != "Job" || TextOf(job, "/apiVersion") != "batch/v1") {
    return Wrong("it is not a Job of batch/v1 (kind and apiVersion say so)");
  }
  if (absl::Status shapes = CheckShapes(job); !shapes.ok()) return shapes;
  if (!FieldOf(job, kPod).is_object()) return Wrong("it has no spec.template.spec");
  json& pod = job[json::json_pointer(kPod)];
  if (absl::Status sound = CheckPod(pod); !sound.ok()) return sound;
  const json* const worker = WorkerOf(pod);
  if (worker == nullptr) {
    return Wrong(absl::StrCat("it has no container named ", kContainer, ", which runs the worker"));
  }
  for (const json& word : ListOf(*worker, "/command")) {
    if (!word.is_string()) return Wrong("the command of its container is not a list of words");
  }
  json& spec = job["spec"];
  absl::Status status = Require(spec, "spec", "backoffLimit", 0);
  status.Update(Require(spec, "spec", "completions", 1));
  status.Update(Require(spec, "spec", "parallelism", 1));
  status.Update(Require(pod, "spec.template.spec", "restartPolicy", "Never"));
  if (!status.ok()) return status;
  spec.emplace("ttlSecondsAfterFinished", kSecondsAfterEnd);
  pod.emplace("automountServiceAccountToken", false);
  pod.emplace("terminationGracePeriodSeconds", kGraceSeconds);
  json& metadata = job["metadata"];
  if (metadata.is_null()) metadata = json::object();
  for (const char* own : {"name", "generateName", "namespace"}) metadata.erase(own);
  return JobTemplate(std::move(job));
}

json JobTemplate::JobOf(const jobs::LaunchRequest& request, const Launch& launch,
                        const std::string& job_name) const {
  json job = job_;
  job["metadata"]["name"] = job_name;
  for (const char* metadata : {"/metadata", "/spec/template/metadata"}) {
    json& labels = job[json::json_pointer(metadata)]["labels"];
    labels["app.kubernetes.io/managed-by"] = "atelier";
    labels[kServerLabel] = launch.server_id;
  }
  job["metadata"]["annotations"][kNameAnnotation] = launch.name;
  json& worker = *WorkerOf(job[json::json_pointer(kPod)]);
  worker.emplace("terminationMessagePolicy", "FallbackToLogsOnError");
  SetResources(request.resources, launch.gpu_resource, &worker);
  SetEnvironment(launch.environment, job_name, &worker);
  SetCommand(launch.arguments, launch.log, &worker);
  if (request.resources.nodes > 1) SetNodes(request.resources.nodes, job_name, &job);
  return job;
}

std::string JobName(const std::string& job_id, int attempt, absl::string_view suffix) {
  constexpr std::size_t kLongest = 52;
  const std::string end = absl::StrCat("-", attempt, "-", suffix);
  const std::string begin = absl::StrCat("atelier-", job_id);
  return begin.substr(0, kLongest - std::min(kLongest, end.size())) + end;
}

json SecretOf(const std::string& job_name, const std::string& job_uid, const std::string& server_id,
              const std::string& token) {
  const json owner = {
      {"apiVersion", "batch/v1"}, {"kind", "Job"}, {"name", job_name}, {"uid", job_uid}};
  return {{"apiVersion", "v1"},
          {"kind", "Secret"},
          {"metadata",
           {{"name", job_name},
            {"labels", {{"app.kubernetes.io/managed-by", "atelier"}, {kServerLabel, server_id}}},
            {"ownerReferences", json::array({owner})}}},
          {"stringData", {{kTokenKey, token}}}};
}

}  // namespace atelier::kubernetes
