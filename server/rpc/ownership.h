// Whether a caller may change a resource: an admin may change all, an operator what it made itself.
// Thread-safe: free functions, which may wait for the disk.
#ifndef ATELIER_SERVER_RPC_OWNERSHIP_H_
#define ATELIER_SERVER_RPC_OWNERSHIP_H_

#include <string>

#include "absl/status/status.h"
#include "server/access/caller.h"
#include "server/jobs/dataset_store.h"
#include "server/jobs/experiment_controller.h"
#include "server/jobs/job_controller.h"
#include "server/jobs/model_store.h"
#include "server/jobs/resource_names.h"
#include "server/uploads/upload_folder.h"

namespace atelier::rpc {

// Each answers PERMISSION_DENIED (NOT_YOURS), or NOT_FOUND as the resource's own methods do. Of a
// model or data set without a version all versions are meant.
absl::Status CheckOwnJob(jobs::JobController* controller, const access::Caller& caller,
                         const std::string& id);
absl::Status CheckOwnExperiment(jobs::ExperimentController* controller,
                                const access::Caller& caller, const std::string& id);
absl::Status CheckOwnModel(jobs::ModelStore* models, const access::Caller& caller,
                           const jobs::ModelReference& reference);
absl::Status CheckOwnDataset(jobs::DatasetStore* datasets, const access::Caller& caller,
                             const jobs::DatasetReference& reference);
absl::Status CheckOwnUpload(uploads::UploadFolder* uploads, const access::Caller& caller,
                            const std::string& id);

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_OWNERSHIP_H_
