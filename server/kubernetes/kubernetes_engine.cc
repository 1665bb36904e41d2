#include "server/kubernetes/kubernetes_engine.h"

#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/kubernetes/job_template.h"
#include "server/kubernetes/json_fields.h"

namespace atelier::kubernetes {
namespace {

// After which the API server ends a watch.
constexpr int kWatchSeconds = 60;
// Jobs without a pod whose events are asked for at each list.
constexpr int kMostExplained = 5;
// Tries to create a Secret: without it the pod waits for ever.
constexpr int kSecretTries = 3;

std::string Suffix() {
  absl::BitGen random;
  return absl::StrFormat("%06x", absl::Uniform<unsigned>(random, 0, 1U << 24));
}

// What is wrong with a Job of the operator's template would be wrong with the next one.
absl::Status Refusal(const absl::Status& status) {
  if (!absl::IsInvalidArgument(status)) return absl::UnavailableError(status.message());
  return absl::InvalidArgumentError(
      absl::StrCat("Kubernetes refuses the job of --kubernetes_job_template: ", status.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<KubernetesEngine>> KubernetesEngine::Create(
    Options options, const launch::WorkerCommand::Options& worker, std::unique_ptr<Api> api,
    const Clock* clock) {
  auto command = launch::WorkerCommand::Create(worker);
  if (!command.ok()) return command.status();
  return std::unique_ptr<KubernetesEngine>(
      new KubernetesEngine(std::move(options), *std::move(command), std::move(api), clock));
}

KubernetesEngine::KubernetesEngine(Options options, launch::WorkerCommand worker,
                                   std::unique_ptr<Api> api, const Clock* clock)
    : options_(std::move(options)),
      worker_(std::move(worker)),
      api_(std::move(api)),
      clock_(clock),
      jobs_(absl::StrCat("/apis/batch/v1/namespaces/", options_.kubernetes.name_space, "/jobs")),
      core_(absl::StrCat("/api/v1/namespaces/", options_.kubernetes.name_space)),
      selector_(absl::StrCat("labelSelector=", kServerLabel, "%3D", options_.server_id)) {}

KubernetesEngine::~KubernetesEngine() { api_->Stop(); }

void KubernetesEngine::SetBell(std::function<void()> ring) {
  watch_ =
      std::make_unique<PodWatch>(api_.get(),
                                 absl::StrCat(core_, "/pods?watch=1&timeoutSeconds=", kWatchSeconds,
                                              "&", selector_, "&resourceVersion="),
                                 std::move(ring));
}

absl::Status KubernetesEngine::CheckArguments(absl::Span<const std::string> arguments) const {
  if (arguments.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "This server runs workers on Kubernetes, by its operator's template, without further "
      "arguments");
}

std::string KubernetesEngine::JobPath(absl::string_view job) const {
  return absl::StrCat(jobs_, "/", job);
}

absl::StatusOr<std::string> KubernetesEngine::Submit(const jobs::LaunchRequest& request,
                                                     const std::string& name) {
  const std::string job = JobName(request.job_id, request.attempt, Suffix());
  const JobTemplate::Launch launch = {
      .name = name,
      .server_id = options_.server_id,
      .arguments = worker_.Arguments(request),
      .environment = worker_.OwnVariables(),
      .log = worker_.sends_log() ? "" : request.attempt_dir + "/worker.log",
      .gpu_resource = options_.kubernetes.gpu_resource};
  const auto created =
      api_->Call("POST", jobs_, options_.kubernetes.job.JobOf(request, launch, job));
  if (!created.ok()) return Refusal(created.status());
  const auto secret =
      SecretOf(job, TextOf(*created, "/metadata/uid"), options_.server_id, request.token);
  absl::Status status;
  for (int i = 0; i < kSecretTries; ++i) {
    status = api_->Call("POST", core_ + "/secrets", secret).status();
    // Of the second try, whose first one was answered to nobody.
    if (status.ok() || absl::IsAlreadyExists(status)) return job;
  }
  DeleteJob(job).IgnoreError();  // If that fails, it is found as one that belongs to no attempt.
  return Refusal(status);
}

absl::StatusOr<std::vector<remote::ListedLaunch>> KubernetesEngine::List() {
  // Jobs first: of a pod that is listed the Job was there before.
  const auto jobs = api_->Call("GET", absl::StrCat(jobs_, "?", selector_), nullptr);
  if (!jobs.ok()) return absl::UnavailableError(jobs.status().message());
  const auto pods = api_->Call("GET", absl::StrCat(core_, "/pods?", selector_), nullptr);
  if (!pods.ok()) return absl::UnavailableError(pods.status().message());
  if (!FieldOf(*jobs, "/items").is_array() || !FieldOf(*pods, "/items").is_array()) {
    return absl::UnavailableError("Kubernetes answers with what is not a list");
  }
  std::vector<remote::ListedLaunch> launches;
  int explained = 0;
  for (ListedJob& listed : LaunchesOf(*jobs, *pods, clock_->Now())) {
    if (!listed.lacking.empty() && ++explained <= kMostExplained) Explain(&listed);
    launches.push_back(std::move(listed.launch));
  }
  const std::string version = TextOf(*pods, "/metadata/resourceVersion");
  if (watch_ != nullptr && !launches.empty()) watch_->Arm(version);
  return launches;
}

void KubernetesEngine::Explain(ListedJob* listed) const {
  const auto events = api_->Call(
      "GET",
      absl::StrCat(core_, "/events?limit=20&fieldSelector=involvedObject.uid%3D", listed->uid),
      nullptr);
  if (!events.ok()) return;
  const std::string why = WhyNoPod(*events);
  if (why.empty()) return;
  listed->launch.status = jobs::LaunchPending{
      absl::StrCat(Title(listed->launch.key.id), " has ", listed->lacking, ": ", why), why};
}

absl::Status KubernetesEngine::DeleteJob(const std::string& job) const {
  const absl::Status status =
      api_->Call("DELETE", JobPath(job) + "?propagationPolicy=Background", nullptr).status();
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::Status KubernetesEngine::Cancel(const std::vector<remote::ListedLaunch>& launches) {
  absl::Status status;
  for (const remote::ListedLaunch& launch : launches) {
    const std::string& job = launch.key.id;
    status.Update(DeleteJob(job));
    // The Job's own deletion leaves its pods their grace, and waits for a node that is gone.
    status.Update(
        api_->Call("DELETE",
                   absl::StrCat(core_, "/pods?gracePeriodSeconds=0&labelSelector=job-name%3D", job),
                   nullptr)
            .status());
  }
  return status;
}

void KubernetesEngine::Release(const remote::LaunchKey& key) {
  DeleteJob(key.id).IgnoreError();  // Otherwise it goes by its time to live.
}

}  // namespace atelier::kubernetes
