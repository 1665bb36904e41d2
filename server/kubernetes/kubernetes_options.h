// What an operator chooses of the Kubernetes executor: the flags --kubernetes_*, validated. Values;
// thread-safe.
#ifndef ATELIER_SERVER_KUBERNETES_KUBERNETES_OPTIONS_H_
#define ATELIER_SERVER_KUBERNETES_KUBERNETES_OPTIONS_H_

#include <string>

#include "absl/status/statusor.h"
#include "server/kubernetes/job_template.h"
#include "server/remote/engine_flags.h"

namespace atelier::kubernetes {

// Where the API server is and how it is talked to. Files are read anew for every call.
struct ApiAddress {
  std::string url;         // https://HOST:PORT, or http:// of this machine.
  std::string token_file;  // Empty: no token is sent.
  std::string ca_file;     // Empty: the system's authorities.
};

struct KubernetesOptions {
  ApiAddress api;
  std::string name_space;
  std::string gpu_resource;  // Such as nvidia.com/gpu; empty: no job gets a GPU.
  JobTemplate job;

  // From the values of flags, by their names: kubernetes_job_template, kubernetes_namespace,
  // kubernetes_api, kubernetes_token_file, kubernetes_ca_file, kubernetes_gpu_resource. A missing
  // one is empty; what is then the pod's own service account comes from `service_account`, the
  // folder where Kubernetes puts it, and from the environment. INVALID_ARGUMENT with a sentence
  // that names the first wrong flag.
  static absl::StatusOr<KubernetesOptions> Create(
      const remote::EngineFlags& flags,
      const std::string& service_account = "/var/run/secrets/kubernetes.io/serviceaccount");
};

}  // namespace atelier::kubernetes

#endif  // ATELIER_SERVER_KUBERNETES_KUBERNETES_OPTIONS_H_
