#include "server/jobs/derived_request.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/text_format.h"
#include "server/jobs/error.h"
#include "server/jobs/recipes.h"
#include "server/jobs/resource_names.h"
#include "server/jobs/start_choices.h"
#include "server/jobs/training_choices.h"

namespace atelier::jobs {
namespace {

using google::protobuf::FieldDescriptor;

constexpr int kMaxEpochs = 10'000;

// What makes the schedule begin anew.
constexpr std::array kScheduleFields = {"learning_rate", "schedule", "warmup_fraction",
                                        "step_factor", "step_epochs"};

// What else may differ from the job that is continued.
constexpr std::array kOtherChanges = {
    "epochs",     "patience",          "freeze",    "cores", "memory_bytes", "nodes", "priority",
    "model_name", "serving_precision", "slurm_args"};

void Clear(const char* name, v1::TrainingSpec* spec) {
  spec->GetReflection()->ClearField(spec, spec->GetDescriptor()->FindFieldByName(name));
}

// Clears what has the value that the recipe gives.
void ClearDefaults(const v1::TrainingSpec& defaults, v1::TrainingSpec* spec) {
  for (const FieldDescriptor* field : FieldsOf(defaults)) {
    std::string usual;
    std::string value;
    google::protobuf::TextFormat::PrintFieldValueToString(defaults, field, -1, &usual);
    google::protobuf::TextFormat::PrintFieldValueToString(*spec, field, -1, &value);
    if (value == usual) spec->GetReflection()->ClearField(spec, field);
  }
}

// Clears what depends on fields that `given` has otherwise.
void ClearDependent(const v1::TrainingSpec& given, v1::TrainingSpec* like) {
  const bool default_step_epochs =
      like->has_step_epochs() && like->step_epochs() == DefaultStepEpochs(*like);
  if (given.recipe() != v1::RECIPE_UNSPECIFIED && given.recipe() != like->recipe()) {
    ClearDefaults(DefaultsOf(like->recipe()), like);
  }
  if (given.optimizer() != v1::OPTIMIZER_UNSPECIFIED && given.optimizer() != like->optimizer()) {
    for (const char* name : {"momentum", "nesterov", "beta1", "beta2", "epsilon"}) {
      Clear(name, like);
    }
  }
  const bool other_schedule =
      given.schedule() != v1::SCHEDULE_UNSPECIFIED && given.schedule() != like->schedule();
  if (other_schedule) like->clear_step_factor();
  if (other_schedule || (given.has_epochs() && default_step_epochs)) like->clear_step_epochs();
  const bool divides = like->shards() > 0 && given.batch_size() % like->shards() == 0;
  if (given.has_batch_size() && !divides) like->clear_shards();
}

// Completes the specification of a job that is continued.
class Continuation {
 public:
  Continuation(const JobRecord& ended, const v1::StartTrainingRequest& request)
      : ended_(ended), request_(request), spec_(ended.job.spec()) {}

  absl::StatusOr<v1::TrainingSpec> Run() {
    CheckFields();
    ResolveEpochs();
    ResolveSchedule();
    if (!wrong_.empty()) return InvalidFields(wrong_);
    spec_.MergeFrom(request_.spec());
    spec_.set_epochs(epochs_);
    spec_.clear_start_from();
    spec_.set_continues(ended_.job.name());
    return std::move(spec_);
  }

 private:
  int finished() const { return ended_.recorded_epoch; }
  void Wrong(absl::string_view field, std::string description) {
    wrong_.push_back({std::string(field), std::move(description)});
  }

  void CheckFields() {
    std::vector<std::string> allowed(kOtherChanges.begin(), kOtherChanges.end());
    allowed.insert(allowed.end(), kScheduleFields.begin(), kScheduleFields.end());
    for (const FieldDescriptor* field : FieldsOf(request_.spec())) {
      if (std::find(allowed.begin(), allowed.end(), field->name()) != allowed.end()) continue;
      Wrong(absl::StrCat("spec.", std::string(field->name())),
            absl::StrCat("This cannot change when a job is continued; only ",
                         absl::StrJoin(allowed, ", "), " can."));
    }
  }

  void ResolveEpochs() {
    epochs_ = request_.spec().has_epochs() ? request_.spec().epochs() : spec_.epochs();
    const int more = request_.more_epochs();
    if (request_.has_more_epochs()) {
      if (request_.spec().has_epochs()) {
        return Wrong("more_epochs", "Epochs are given in all and to add; give one of the two.");
      }
      if (more < 1 || more > kMaxEpochs) {
        return Wrong("more_epochs", absl::StrCat("The number of epochs to add is ", more,
                                                 "; it must be 1 to ", kMaxEpochs, "."));
      }
      epochs_ = finished() + more;
    }
    if (epochs_ > finished()) return;
    Wrong("spec.epochs",
          absl::StrCat("Job ", ended_.id, " has finished ", finished(), " epochs, and ", epochs_,
                       " are wanted in all; give more, or how many to add."));
  }

  void ResolveSchedule() {
    const v1::TrainingSpec& given = request_.spec();
    const bool anew =
        std::any_of(kScheduleFields.begin(), kScheduleFields.end(), [&given](const char* name) {
          return given.GetReflection()->HasField(given,
                                                 given.GetDescriptor()->FindFieldByName(name));
        });
    const v1::Schedule schedule = spec_.schedule();
    if (anew) {
      spec_.set_schedule_start_epoch(finished());
      if (given.schedule() == v1::SCHEDULE_UNSPECIFIED || given.schedule() == schedule) return;
      spec_.clear_step_factor();
      spec_.clear_step_epochs();
      return;
    }
    const bool planned = schedule == v1::SCHEDULE_ONE_CYCLE || schedule == v1::SCHEDULE_COSINE;
    if (!planned || epochs_ == spec_.epochs()) return;
    Wrong("spec.schedule",
          absl::StrCat("The schedule ", EnumWord(v1::Schedule_descriptor(), schedule), " of job ",
                       ended_.id, " was made for ", spec_.epochs(), " epochs and cannot go on for ",
                       epochs_,
                       "; give a schedule or a learning rate for the epochs that are added."));
  }

  const JobRecord& ended_;
  const v1::StartTrainingRequest& request_;
  v1::TrainingSpec spec_;
  int epochs_ = 0;
  std::vector<FieldViolation> wrong_;
};

}  // namespace

v1::TrainingSpec MergeLike(v1::TrainingSpec like, v1::TrainingSpec given) {
  like.clear_seed();
  like.clear_continues();
  like.clear_schedule_start_epoch();
  ClearDependent(given, &like);
  const bool named_after_network = like.model_name() == NetworkName(like);
  if (NamesNetwork(given) && named_after_network) like.clear_model_name();
  // Another start or network may bring numbers to standardize by.
  if (!given.start_from().empty() || NamesNetwork(given)) like.clear_standardize();
  InheritNetwork(like, &given);
  ClearNetwork(&like);
  like.MergeFrom(given);
  return like;
}

absl::StatusOr<v1::TrainingSpec> MergeContinued(const JobRecord& ended,
                                                const v1::StartTrainingRequest& request) {
  return Continuation(ended, request).Run();
}

}  // namespace atelier::jobs
