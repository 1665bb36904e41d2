// Checks a request to train and fills every value that was left out, so that the accepted job says
// all of what will be done.
#ifndef ATELIER_SERVER_JOBS_SPEC_RESOLVER_H_
#define ATELIER_SERVER_JOBS_SPEC_RESOLVER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "atelier/v1/training_service.pb.h"
#include "server/jobs/dataset_source.h"
#include "server/jobs/error.h"
#include "server/jobs/model_store.h"

namespace atelier::jobs {

// A network that has a name.
struct PresetChoice {
  std::string name;
  std::optional<int> conv_depth = {};  // The convolutional depth that also names it.
};

// A request that is in order.
struct ResolvedRequest {
  v1::TrainingSpec spec;  // Every value present; conv_depth only where it names the preset.
  std::string base_name;
  std::string request_id;   // Empty if none was given.
  v1::TrainingStart start;  // Empty unless it begins with a version's weights or freezes layers.
};

// Thread-safe.
class SpecResolver {
 public:
  struct Options {
    // The networks, in the order in which a message names them. Their depths are 0, 1, 2, …
    std::vector<PresetChoice> presets;
    int max_cores = 1;                        // Cores the server gives to all jobs together.
    int default_cores = 1;                    // Cores of a job that names none.
    std::int64_t memory_bytes = 0;            // Memory for all jobs together; 0: not known.
    bool bfloat16 = false;                    // The processor has it.
    bool cuda = false;                        // There is a GPU that LibTorch can use.
    std::function<std::int64_t()> draw_seed;  // Seed of a job that names none.
    // What a precision of AUTO becomes for a specification that is in order, on a data set. Empty:
    // float32.
    std::function<v1::Precision(const v1::TrainingSpec&, const DatasetFacts&)> fastest_precision =
        {};
    // Fills in a specification's network from its preset and the fields that shape it, or checks
    // that they agree with it. Gives what is wrong. May be empty itself.
    std::function<std::vector<FieldViolation>(v1::TrainingSpec*)> build_network = {};
    // Why the network of a specification cannot be trained on a data set, or not by its optimiser,
    // without a full stop; empty if it can. May be empty itself.
    std::function<std::string(const v1::TrainingSpec&, const DatasetFacts&)> network_problem = {};
    // The versions that trainings may start from. Null: none.
    ModelStore* models = nullptr;
    // Says which layers of a specification's network begin with the weights of a version, which may
    // be null, and which are frozen. Gives what is wrong. May be empty itself.
    std::function<std::vector<FieldViolation>(const v1::TrainingSpec&, const DatasetFacts&,
                                              const v1::ModelVersion*, v1::TrainingStart*)>
        describe_start = {};
    // What is wrong with the arguments that a user gives the engine which runs workers, as
    // Executor::CheckArguments. Empty: no engine takes any.
    std::function<absl::Status(const std::vector<std::string>&)> check_arguments = {};
    // Whether the cores and the memory of all of a job's nodes are those of this server.
    bool nodes_are_here = true;
    // Why no job may have more than one node, a sentence; empty if it may.
    std::string nodes_refused = {};
  };

  // A draw_seed for servers: uniform over 0 to 2^31-1.
  static std::int64_t RandomSeed();

  // `datasets` must live as long.
  SpecResolver(Options options, DatasetSource* datasets);

  // INVALID_ARGUMENT naming every wrong field, or an error of the store of models. May read a data
  // set's headers from disk.
  absl::StatusOr<ResolvedRequest> Resolve(const v1::StartTrainingRequest& request) const;

  // What the server has.
  const Options& options() const { return options_; }

 private:
  const Options options_;
  DatasetSource* const datasets_;
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_SPEC_RESOLVER_H_
