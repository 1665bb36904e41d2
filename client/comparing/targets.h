// Arguments that name a job, an experiment, a model or a data set. Used by one thread.
#ifndef ATELIER_CLIENT_COMPARING_TARGETS_H_
#define ATELIER_CLIENT_COMPARING_TARGETS_H_

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "atelier/v1/experiment_service.pb.h"
#include "atelier/v1/job.pb.h"
#include "client/calls/arguments.h"
#include "client/calls/session.h"
#include "client/comparing/comparison.h"

namespace atelier::client {

using Target = std::variant<v1::TrainingJob, v1::Experiment>;

// `jobs/x`, `experiments/x`, or `x`, which is a job if there is one and otherwise an experiment.
// NOT_FOUND if there is neither.
absl::StatusOr<Target> GetTarget(Session& session, const std::string& text);

// The experiment with a name for which there is no job (`no_job`). If there is none either, returns
// `no_job`, or the error of the experiment if the name starts with `experiments/`.
absl::StatusOr<v1::Experiment> GetExperimentInstead(Session& session, const std::string& text,
                                                    const absl::Status& no_job);

// What arguments may name beside trainings and experiments.
enum class Nameable { kTrainings, kEvaluationsToo };

// The trainings that arguments name, each once, even if it is named twice or belongs to an
// experiment that is also named. If several are named, one that does not exist becomes a missing
// trial. NOT_FOUND if none exists, FAILED_PRECONDITION for a job of another kind.
struct Named {
  std::vector<Trial> trials;
  std::vector<v1::Experiment> experiments;
  std::vector<v1::TrainingJob> evaluations;
};
absl::StatusOr<Named> GetNamed(Session& session, const std::vector<std::string>& texts,
                               Nameable nameable = Nameable::kTrainings);

// What ParseModel reads; `jobs/x` for the model version that the job made, and `experiments/x` for
// that of the experiment's best run, see BestTrial. FAILED_PRECONDITION if there is none.
absl::StatusOr<ModelReference> ModelOf(Session& session, const std::string& text);

// The model with all of its versions, however many pages they fill.
absl::StatusOr<v1::Model> GetModel(Session& session, const ModelReference& reference);

// One version of the model. NOT_FOUND with a sentence.
absl::StatusOr<v1::ModelVersion> GetVersion(Session& session, const ModelReference& reference);

// `datasets/x`: the data set of that name, or if it is empty the one that the model was trained on.
absl::StatusOr<std::string> DatasetOf(Session& session, const std::string& name,
                                      const ModelReference& model);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMPARING_TARGETS_H_
