// Kubernetes as an engine: a batch/v1 Job for each attempt, made from the operator's template,
// listed by label when a watch says that something happened, deleted to be ended.
#ifndef ATELIER_SERVER_KUBERNETES_KUBERNETES_ENGINE_H_
#define ATELIER_SERVER_KUBERNETES_KUBERNETES_ENGINE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/base/clock.h"
#include "server/jobs/executor.h"
#include "server/kubernetes/api.h"
#include "server/kubernetes/kubernetes_options.h"
#include "server/kubernetes/listing.h"
#include "server/kubernetes/pod_watch.h"
#include "server/launch/worker_command.h"
#include "server/remote/engine.h"

namespace atelier::kubernetes {

// Thread-safe. A launch's id is its Job's name, which ends in random digits; its own name is an
// annotation. The token is in a Secret of the Job's name, which the Job owns: it is created after
// the Job, whose pod waits for it, and goes with it. Pods must see the attempt's folder under the
// same path as this machine, and reach the address that workers dial.
class KubernetesEngine final : public remote::Engine {
 public:
  struct Options {
    KubernetesOptions kubernetes;
    std::string server_id;  // As in the label of Jobs and pods.
  };

  // FAILED_PRECONDITION if the worker's program is not there. `clock` must live as long.
  static absl::StatusOr<std::unique_ptr<KubernetesEngine>> Create(
      Options options, const launch::WorkerCommand::Options& worker, std::unique_ptr<Api> api,
      const Clock* clock);
  ~KubernetesEngine() override;

  std::string Title(absl::string_view id) const override { return TitleOf(id); }
  bool has_gpus() const override { return !options_.kubernetes.gpu_resource.empty(); }
  absl::Status CheckArguments(absl::Span<const std::string> arguments) const override;
  absl::StatusOr<std::string> Submit(const jobs::LaunchRequest& request,
                                     const std::string& name) override;
  absl::StatusOr<std::vector<remote::ListedLaunch>> List() override;
  absl::Status Cancel(const std::vector<remote::ListedLaunch>& launches) override;
  void Release(const remote::LaunchKey& key) override;
  void SetBell(std::function<void()> ring) override;

 private:
  KubernetesEngine(Options options, launch::WorkerCommand worker, std::unique_ptr<Api> api,
                   const Clock* clock);

  std::string JobPath(absl::string_view job) const;
  absl::Status DeleteJob(const std::string& job) const;
  // Puts the events about a Job that lacks pods into what is said of it.
  void Explain(ListedJob* listed) const;

  const Options options_;
  const launch::WorkerCommand worker_;
  const std::unique_ptr<Api> api_;
  const Clock* const clock_;
  const std::string jobs_;  // Paths of the API.
  const std::string core_;
  const std::string selector_;       // Of this server's, as a query.
  std::unique_ptr<PodWatch> watch_;  // Last: it ends first. None before there is a bell.
};

}  // namespace atelier::kubernetes

#endif  // ATELIER_SERVER_KUBERNETES_KUBERNETES_ENGINE_H_
