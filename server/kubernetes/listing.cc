#include "server/kubernetes/listing.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/printable.h"
#include "server/kubernetes/job_template.h"
#include "server/kubernetes/json_fields.h"
#include "server/launch/worker_command.h"

namespace atelier::kubernetes {
namespace {

using nlohmann::json;
using Cause = jobs::ProcessEnd::Cause;

// Reasons for which a container does not start. The first are for good; of the others it is said
// that they are once they have lasted: a registry may be away for a while.
constexpr absl::string_view kNeverStarts[] = {"InvalidImageName", "ErrImageNeverPull"};
constexpr absl::string_view kMayStart[] = {"ImagePullBackOff", "ErrImagePull",
                                           "CreateContainerConfigError", "CreateContainerError",
                                           "RunContainerError"};
constexpr absl::Duration kPatience = absl::Minutes(2);

template <std::size_t N>
bool IsOneOf(absl::string_view word, const absl::string_view (&words)[N]) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

// "Reason: message", as far as there are both.
std::string Reason(const json& object) {
  const std::string reason = TextOf(object, "/reason");
  const std::string message = TextOf(object, "/message");
  return Printable(message.empty() ? reason : absl::StrCat(reason, ": ", message));
}

// The condition of a type that is true; null if there is none.
const json& ConditionOf(const json& object, absl::string_view type, absl::string_view status) {
  static const json null;
  for (const json& condition : ListOf(object, "/status/conditions")) {
    if (TextOf(condition, "/type") == type && TextOf(condition, "/status") == status) {
      return condition;
    }
  }
  return null;
}

// The state of the worker's container; null if the pod says none.
const json& WorkerState(const json& pod) {
  static const json null;
  for (const json& container : ListOf(pod, "/status/containerStatuses")) {
    if (TextOf(container, "/name") == kContainer) return FieldOf(container, "/state");
  }
  return null;
}

// What kept a pod's containers from starting: those of its preparation first.
const json& WaitingOf(const json& pod) {
  static const json null;
  for (const char* list : {"/status/initContainerStatuses", "/status/containerStatuses"}) {
    for (const json& container : ListOf(pod, list)) {
      const json& waiting = FieldOf(container, "/state/waiting");
      if (!TextOf(waiting, "/reason").empty()) return waiting;
    }
  }
  return null;
}

std::string Where(const std::string& title, const json& pod) {
  const std::string node = Printable(TextOf(pod, "/spec/nodeName"));
  return node.empty() ? title : absl::StrCat(title, " on node ", node);
}

// Why a pod was ended from outside; empty if it was not.
std::string DisruptionOf(const json& pod) {
  const json& disruption = ConditionOf(pod, "DisruptionTarget", "True");
  if (!disruption.is_null()) return Reason(disruption);
  if (!TextOf(pod, "/status/reason").empty()) return Reason(FieldOf(pod, "/status"));
  return TextOf(pod, "/metadata/deletionTimestamp").empty() ? "" : "its pod was deleted";
}

jobs::ProcessEnd EndOf(const std::string& title, const json& pod) {
  const json& ended = FieldOf(WorkerState(pod), "/terminated");
  const std::string where = Where(title, pod);
  if (TextOf(ended, "/reason") == "OOMKilled") {
    return {absl::StrCat("over its memory limit: OOMKilled, ", where), Cause::kOutOfMemory};
  }
  if (const std::string why = DisruptionOf(pod); !why.empty()) {
    return {absl::StrCat("ended by Kubernetes: ", why, ", ", where), Cause::kPreempted};
  }
  const json& code = FieldOf(ended, "/exitCode");
  if (!code.is_number_integer()) {
    return {absl::StrCat("its pod ended without an exit code, ", where), Cause::kUnknown};
  }
  const std::string said = Printable(TextOf(ended, "/message"));
  const int number = code.get<int>();
  std::string how = absl::StrCat("exited with code ", number, ", ", where);
  if (!said.empty()) absl::StrAppend(&how, ", saying: ", said);
  return launch::WorkerCommand::EndOf(std::move(how), number);
}

void SetWaiting(const json& pod, absl::Time now, remote::ListedLaunch* launch) {
  const std::string title = TitleOf(launch->key.id);
  const json& unscheduled = ConditionOf(pod, "PodScheduled", "False");
  const json& waiting = WaitingOf(pod);
  const std::string reason = TextOf(waiting, "/reason");
  const json& held_up = unscheduled.is_null() ? waiting : unscheduled;
  std::string why = Reason(held_up);
  absl::Time since;
  const bool aged =
      absl::ParseTime(absl::RFC3339_full, TextOf(pod, "/status/startTime"), &since, nullptr) &&
      now - since > kPatience;
  if (IsOneOf(reason, kNeverStarts) || (aged && IsOneOf(reason, kMayStart))) {
    launch->never_why = why;
  }
  if (why.empty()) why = "its pod is not scheduled yet";
  launch->status =
      jobs::LaunchPending{absl::StrCat(title, " waits: ", why), TextOf(held_up, "/reason")};
}

void SetByPod(const json& pod, absl::Time now, remote::ListedLaunch* launch) {
  const std::string title = TitleOf(launch->key.id);
  const std::string phase = TextOf(pod, "/status/phase");
  const json& state = WorkerState(pod);
  if (phase == "Succeeded" || phase == "Failed") {
    launch->status = EndOf(title, pod);
  } else if (FieldOf(state, "/running").is_object()) {
    const std::string node = Printable(TextOf(pod, "/spec/nodeName"));
    launch->status = jobs::LaunchRunning{absl::StrCat("node ", node, ", ", title), node};
  } else if (phase == "Pending") {
    SetWaiting(pod, now, launch);
  }
}

void SetWithoutPod(const json& job, ListedJob* listed) {
  remote::ListedLaunch& launch = listed->launch;
  const std::string title = TitleOf(launch.key.id);
  for (const char* condition : {"Failed", "Complete"}) {
    const json& end = ConditionOf(job, condition, "True");
    if (end.is_null()) continue;
    launch.status = jobs::ProcessEnd{absl::StrCat("its pod is gone: ", Reason(end), ", ", title),
                                     Cause::kUnknown};
    return;
  }
  const std::string queue = Printable(TextOf(job, "/metadata/labels/kueue.x-k8s.io~1queue-name"));
  listed->silent = FieldOf(job, "/spec/suspend") != json(true);
  std::string why = "it has no pod yet";
  if (!listed->silent) {
    why = queue.empty() ? "it is suspended" : absl::StrCat("in Kueue's queue ", queue);
  }
  launch.status =
      jobs::LaunchPending{absl::StrCat(title, " waits: ", why), listed->silent ? "" : "Suspended"};
}

// The last pod of each Job, by the Job's uid.
std::map<std::string, const json*> PodsByJob(const json& pods) {
  std::map<std::string, const json*> by_job;
  for (const json& pod : ListOf(pods, "/items")) {
    for (const json& owner : ListOf(pod, "/metadata/ownerReferences")) {
      const json*& last = by_job[TextOf(owner, "/uid")];
      const char* const made = "/metadata/creationTimestamp";
      if (last == nullptr || TextOf(*last, made) <= TextOf(pod, made)) last = &pod;
    }
  }
  return by_job;
}

}  // namespace

std::string TitleOf(absl::string_view job) { return absl::StrCat("Kubernetes job ", job); }

std::vector<ListedJob> LaunchesOf(const json& jobs, const json& pods, absl::Time now) {
  const std::map<std::string, const json*> by_job = PodsByJob(pods);
  std::vector<ListedJob> launches;
  for (const json& job : ListOf(jobs, "/items")) {
    ListedJob listed;
    listed.launch.key = {
        TextOf(job, "/metadata/name"),
        TextOf(job, absl::StrCat("/metadata/annotations/", kNameAnnotation).c_str())};
    listed.uid = TextOf(job, "/metadata/uid");
    if (listed.launch.key.id.empty() || listed.launch.key.name.empty()) continue;
    const auto pod = by_job.find(listed.uid);
    if (pod == by_job.end()) {
      SetWithoutPod(job, &listed);
    } else {
      SetByPod(*pod->second, now, &listed.launch);
    }
    const auto& status = listed.launch.status;
    listed.launch.queued =
        status.has_value() && std::holds_alternative<jobs::LaunchPending>(*status);
    launches.push_back(std::move(listed));
  }
  return launches;
}

std::string WhyNoPod(const json& events) {
  std::string why;
  for (const json& event : ListOf(events, "/items")) {
    if (TextOf(event, "/type") == "Warning") why = Reason(event);
  }
  return why;
}

}  // namespace atelier::kubernetes
