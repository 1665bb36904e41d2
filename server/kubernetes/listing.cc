#include "server/kubernetes/listing.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
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

// A pod's number among those of an Indexed Job; empty if its Job is another one.
std::string IndexOf(const json& pod) {
  return TextOf(pod, "/metadata/annotations/batch.kubernetes.io~1job-completion-index");
}

bool LostAnother(const json& pod) {
  return FieldOf(WorkerState(pod), "/terminated/exitCode") ==
         json(launch::WorkerCommand::kRankLostCode);
}

// Whether the worker ended by itself for a reason of its own.
bool FailedByItself(const json& pod) {
  const json& code = FieldOf(WorkerState(pod), "/terminated/exitCode");
  return code.is_number_integer() && code > 0 && code < 128 && !LostAnother(pod);
}

// Why a pod was ended from outside, in Kubernetes' words; empty if it does not say.
std::string GivenDisruption(const json& pod) {
  const json& disruption = ConditionOf(pod, "DisruptionTarget", "True");
  if (!disruption.is_null()) return Reason(disruption);
  return TextOf(pod, "/status/reason").empty() ? "" : Reason(FieldOf(pod, "/status"));
}

// Why a pod was ended from outside; empty if it was not.
std::string DisruptionOf(const json& pod) {
  std::string given = GivenDisruption(pod);
  if (!given.empty() || TextOf(pod, "/metadata/deletionTimestamp").empty()) return given;
  // When one of several fails Kubernetes deletes all the others, even those that are about to.
  return !IndexOf(pod).empty() && FailedByItself(pod) ? "" : "its pod was deleted";
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

// The pods of a Job, by their index; of a Job of one process there is one.
using Pods = std::map<std::string, const json*>;

// How many pods a Job is to have.
std::size_t WantedPods(const json& job) {
  const json& wanted = FieldOf(job, "/spec/completions");
  return wanted.is_number_integer() ? wanted.get<std::size_t>() : 1;
}

bool HasEnded(const json& pod) {
  const std::string phase = TextOf(pod, "/status/phase");
  return phase == "Succeeded" || phase == "Failed";
}

// Processes that have done their share end before the first one, and so end nothing, even if their
// nodes are drained by then.
bool HasFailed(const json& pod, bool first_runs) {
  if (TextOf(pod, "/status/phase") == "Failed") return true;
  return HasEnded(pod) && !first_runs && !DisruptionOf(pod).empty();
}

// Orders the ends of a Job's pods: the least is why all of them ended. A deletion may be for the
// failure of another one, and so says as little as that a worker lost another one; of those that
// did both and ended at the same second, the one that was not deleted ended first.
std::tuple<int, std::string, bool, bool> OrderOf(const json& pod) {
  const json& ended = FieldOf(WorkerState(pod), "/terminated");
  int order = LostAnother(pod) || !DisruptionOf(pod).empty() ? 3 : 2;
  if (!GivenDisruption(pod).empty()) order = 1;
  if (TextOf(ended, "/reason") == "OOMKilled") order = 0;
  const bool lost = LostAnother(pod);
  const bool deleted = lost && !TextOf(pod, "/metadata/deletionTimestamp").empty();
  return {order, TextOf(ended, "/finishedAt"), lost, deleted};
}

// The pod that says why a Job's pods end; null if none has failed.
const json* FirstFailed(const Pods& pods) {
  const auto& [lowest, its_pod] = *pods.begin();
  const bool first_runs = lowest == "0" && !HasEnded(*its_pod);
  const json* first = nullptr;
  for (const auto& [index, pod] : pods) {
    if (HasFailed(*pod, first_runs) && (first == nullptr || OrderOf(*pod) < OrderOf(*first)))
      first = pod;
  }
  return first;
}

jobs::LaunchRunning RunningOn(const std::string& title, const Pods& pods) {
  std::vector<std::string> nodes;
  for (const auto& [index, pod] : pods) {
    std::string node = Printable(TextOf(*pod, "/spec/nodeName"));
    if (std::find(nodes.begin(), nodes.end(), node) == nodes.end()) nodes.push_back(node);
  }
  std::string where =
      absl::StrCat(nodes.size() > 1 ? "nodes " : "node ", absl::StrJoin(nodes, ", "), ", ", title);
  return {std::move(where), std::move(nodes)};
}

// Of a Job that has fewer pods than it is to have.
void SetLacking(const json& job, std::size_t present, ListedJob* listed) {
  remote::ListedLaunch& launch = listed->launch;
  const std::string title = TitleOf(launch.key.id);
  for (const char* condition : {"Failed", "Complete"}) {
    const json& end = ConditionOf(job, condition, "True");
    if (end.is_null()) continue;
    launch.status = jobs::ProcessEnd{absl::StrCat("its pod is gone: ", Reason(end), ", ", title),
                                     Cause::kUnknown};
    return;
  }
  if (FieldOf(job, "/spec/suspend") == json(true)) {
    const std::string queue = Printable(TextOf(job, "/metadata/labels/kueue.x-k8s.io~1queue-name"));
    const std::string why =
        queue.empty() ? "it is suspended" : absl::StrCat("in Kueue's queue ", queue);
    launch.status = jobs::LaunchPending{absl::StrCat(title, " waits: ", why), "Suspended"};
    return;
  }
  listed->lacking =
      present == 0 ? "no pod" : absl::StrCat(present, " of ", WantedPods(job), " pods");
  launch.status = jobs::LaunchPending{
      absl::StrCat(title, " waits: it has ", listed->lacking, present == 0 ? " yet" : " so far")};
}

void SetByPods(const json& job, const Pods& pods, absl::Time now, ListedJob* listed) {
  remote::ListedLaunch& launch = listed->launch;
  const std::string title = TitleOf(launch.key.id);
  const auto all = [&pods](const auto& holds) {
    return std::all_of(pods.begin(), pods.end(),
                       [&](const auto& pod) { return holds(*pod.second); });
  };
  const bool over = all(HasEnded);
  if (const json* const failed = FirstFailed(pods)) {
    // The lost process's own end is seen later, or the Job fails without it.
    const bool known =
        over || !LostAnother(*failed) || !ConditionOf(job, "Failed", "True").is_null();
    if (known) {
      launch.status = EndOf(title, *failed);
    } else {
      launch.status = RunningOn(title, pods);
    }
    return;
  }
  const auto runs = [](const json& pod) {
    return HasEnded(pod) || FieldOf(WorkerState(pod), "/running").is_object();
  };
  const auto waits = [&runs](const auto& pod) {
    return !runs(*pod.second) && TextOf(*pod.second, "/status/phase") == "Pending";
  };
  if (const auto waiting = std::find_if(pods.begin(), pods.end(), waits); waiting != pods.end()) {
    SetWaiting(*waiting->second, now, &launch);
  } else if (pods.size() < WantedPods(job)) {
    SetLacking(job, pods.size(), listed);
  } else if (over) {
    launch.status = EndOf(title, *pods.begin()->second);
  } else if (all(runs)) {
    launch.status = RunningOn(title, pods);
  }
}

// The last pod of each Job and index, by the Job's uid.
std::map<std::string, Pods> PodsByJob(const json& pods) {
  std::map<std::string, Pods> by_job;
  for (const json& pod : ListOf(pods, "/items")) {
    for (const json& owner : ListOf(pod, "/metadata/ownerReferences")) {
      const json*& last = by_job[TextOf(owner, "/uid")][IndexOf(pod)];
      const char* const made = "/metadata/creationTimestamp";
      if (last == nullptr || TextOf(*last, made) <= TextOf(pod, made)) last = &pod;
    }
  }
  return by_job;
}

}  // namespace

std::string TitleOf(absl::string_view job) { return absl::StrCat("Kubernetes job ", job); }

std::vector<ListedJob> LaunchesOf(const json& jobs, const json& pods, absl::Time now) {
  const std::map<std::string, Pods> by_job = PodsByJob(pods);
  std::vector<ListedJob> launches;
  for (const json& job : ListOf(jobs, "/items")) {
    ListedJob listed;
    listed.launch.key = {
        TextOf(job, "/metadata/name"),
        TextOf(job, absl::StrCat("/metadata/annotations/", kNameAnnotation).c_str())};
    listed.uid = TextOf(job, "/metadata/uid");
    if (listed.launch.key.id.empty() || listed.launch.key.name.empty()) continue;
    if (const auto found = by_job.find(listed.uid); found != by_job.end()) {
      SetByPods(job, found->second, now, &listed);
    } else {
      SetLacking(job, 0, &listed);
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
