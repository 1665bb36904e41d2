// The operator's Job, into which a launch's particulars are put: pure functions on JSON.
#ifndef ATELIER_SERVER_KUBERNETES_JOB_TEMPLATE_H_
#define ATELIER_SERVER_KUBERNETES_JOB_TEMPLATE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "server/jobs/executor.h"

namespace atelier::kubernetes {

// Where a launch's name, `atelier:<server>/<job>/<attempt>`, is on its Job.
inline constexpr char kNameAnnotation[] = "atelier.launch";
// The label of a server's Jobs and pods.
inline constexpr char kServerLabel[] = "atelier.server";
// The container that runs the worker.
inline constexpr char kContainer[] = "worker";

// Values; thread-safe.
class JobTemplate {
 public:
  // From a batch/v1 Job as JSON with a container `worker`. INVALID_ARGUMENT with what is wrong,
  // without a full stop: it is no such Job, it asks for the host's network, processes or memory, or
  // for privileges, or it sets what the server has to.
  static absl::StatusOr<JobTemplate> Parse(absl::string_view text);

  struct Launch {
    std::string name;                      // As in kNameAnnotation.
    std::string server_id;                 // As in kServerLabel.
    std::vector<std::string> arguments;    // The worker's command line, program first.
    std::vector<std::string> environment;  // NAME=value each, without the token.
    std::string log;           // The file that gets what the worker prints; empty: none.
    std::string gpu_resource;  // Such as nvidia.com/gpu.
  };

  // The Job to create for a launch. Each of its pods runs at most once, and reads its token from
  // the Secret of the Job's name. Where there are several, Kubernetes tells each its number by
  // JOB_COMPLETION_INDEX, and ends all when one fails.
  nlohmann::json JobOf(const jobs::LaunchRequest& request, const Launch& launch,
                       const std::string& job_name) const;

 private:
  explicit JobTemplate(nlohmann::json job) : job_(std::move(job)) {}

  nlohmann::json job_;
};

// A name for a Job of an attempt, of at most 52 characters, so that those of its pods fit: as much
// of the job's as there is room for, and the suffix.
std::string JobName(const std::string& job_id, int attempt, absl::string_view suffix);

// The Secret with a launch's token, which goes when its Job goes.
nlohmann::json SecretOf(const std::string& job_name, const std::string& job_uid,
                        const std::string& server_id, const std::string& token);

}  // namespace atelier::kubernetes

#endif  // ATELIER_SERVER_KUBERNETES_JOB_TEMPLATE_H_
