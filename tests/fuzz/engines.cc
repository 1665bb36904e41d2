// What Slurm's commands print, what Kubernetes' API server and an object store answer, and files of
// AWS credentials.
#include "server/kubernetes/api.h"
#include "server/kubernetes/job_template.h"
#include "server/kubernetes/listing.h"
#include "server/objects/aws_credentials.h"
#include "server/objects/s3_answers.h"
#include "server/slurm/slurm_text.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text = atelier::fuzz::Text(data, size);
  (void)atelier::slurm::ParseList(text);
  (void)atelier::slurm::ParseDetails(text);
  (void)atelier::slurm::NodesOf(text);
  (void)atelier::slurm::ParseSubmitted(text);
  (void)atelier::slurm::Complaint(text);
  (void)atelier::slurm::ArgumentProblem(text);
  (void)atelier::kubernetes::StatusOf(500, text);
  const auto job = atelier::kubernetes::JobTemplate::Parse(text);
  if (job.ok()) {
    const atelier::kubernetes::JobTemplate::Launch launch = {.name = "atelier:here/a/1",
                                                             .server_id = "here",
                                                             .arguments = {"worker"},
                                                             .environment = {},
                                                             .log = "log",
                                                             .gpu_resource = {}};
    (void)job->JobOf({}, launch, "name");
  }
  const auto answer = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  (void)atelier::kubernetes::LaunchesOf(answer, answer, absl::UnixEpoch());
  (void)atelier::kubernetes::WhyNoPod(answer);
  atelier::http::Answer store;
  store.status = 503;
  store.headers["retry-after"] = std::string(text.substr(0, 20));
  store.body = std::string(text);
  (void)atelier::objects::RetryAfter(atelier::objects::StatusOf(store, absl::UnixEpoch()));
  (void)atelier::objects::ElementsOf(text, "Part");
  (void)atelier::objects::PlainEtag(text);
  (void)atelier::objects::ReadProfile(text, "default");
  return 0;
}
