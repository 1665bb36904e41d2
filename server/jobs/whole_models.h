// Models with all of their versions, read page by page. Thread-safe: free functions.
#ifndef ATELIER_SERVER_JOBS_WHOLE_MODELS_H_
#define ATELIER_SERVER_JOBS_WHOLE_MODELS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "atelier/v1/model_service.pb.h"
#include "server/jobs/model_store.h"

namespace atelier::jobs {

// The bare names of all models, sorted. Errors are the store's.
absl::StatusOr<std::vector<std::string>> ModelNames(ModelStore* models);

// One model with all versions, newest first. Errors are the store's, NOT_FOUND among them.
absl::StatusOr<v1::Model> WholeModel(ModelStore* models, absl::string_view name);

// All models, by name; what is deleted meanwhile is left out.
absl::StatusOr<std::vector<v1::Model>> WholeModels(ModelStore* models);

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_WHOLE_MODELS_H_
