#include "server/jobs/training_choices.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/descriptor.h"
#include "server/jobs/resource_names.h"

namespace atelier::jobs {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;

// An optimiser with the defaults of the fields that it has.
struct OptimizerFields {
  v1::Optimizer optimizer;
  std::optional<double> momentum;
  std::optional<bool> nesterov;
  std::optional<double> beta1;
  std::optional<double> beta2;
  std::optional<double> epsilon;
};

constexpr std::array<OptimizerFields, 5> kOptimizers = {{
    {v1::OPTIMIZER_ADAMW, std::nullopt, std::nullopt, 0.9, 0.999, 1e-7},
    {v1::OPTIMIZER_ADAM, std::nullopt, std::nullopt, 0.9, 0.999, 1e-7},
    {v1::OPTIMIZER_SGD, 0.9, false, std::nullopt, std::nullopt, std::nullopt},
    {v1::OPTIMIZER_RMSPROP, 0.0, std::nullopt, std::nullopt, 0.99, 1e-7},
    {v1::OPTIMIZER_MUON, 0.95, true, 0.9, 0.999, 1e-7},
}};

// `a, b or c`.
std::string OrList(std::vector<std::string> words) {
  const std::string last = std::move(words.back());
  words.pop_back();
  return words.empty() ? last : absl::StrCat(absl::StrJoin(words, ", "), " or ", last);
}

class Choices {
 public:
  Choices(v1::TrainingSpec* spec, std::vector<FieldViolation>* wrong)
      : spec_(*spec), wrong_(*wrong) {}

  void Resolve() {
    if (CheckWord(v1::Schedule_descriptor(), "schedule", spec_.schedule())) ResolveSchedule();
    CheckWarmup();
    if (CheckWord(v1::Optimizer_descriptor(), "optimizer", spec_.optimizer())) ResolveOptimizer();
    CheckWord(v1::Monitor_descriptor(), "monitor", spec_.monitor());
    Require("min_delta", "The least improvement", spec_.min_delta(),
            spec_.min_delta() >= 0 && spec_.min_delta() < 1, "at least 0 and below 1");
    const double norm = spec_.max_gradient_norm();
    Require("max_gradient_norm", "The gradient's largest norm", norm, norm >= 0 && norm <= 1e6,
            "0 to 1000000");
    CheckRegularization();
  }

 private:
  void Wrong(absl::string_view field, std::string description) {
    wrong_.push_back({absl::StrCat("spec.", field), std::move(description)});
  }
  // `within` is to be written so that NaN is not.
  void Require(absl::string_view field, absl::string_view words, double value, bool within,
               absl::string_view range) {
    if (!within) Wrong(field, absl::StrCat(words, " is ", value, "; it must be ", range, "."));
  }

  // Whether the enumeration has the value.
  bool CheckWord(const EnumDescriptor* type, absl::string_view field, int value) {
    if (value != 0 && type->FindValueByNumber(value) != nullptr) return true;
    std::vector<std::string> words;
    for (int i = 1; i < type->value_count(); ++i) {
      words.push_back(EnumWord(type, type->value(i)->number()));
    }
    Wrong(field, absl::StrCat("There is no ", field, " ", value, "; choose ",
                              OrList(std::move(words)), "."));
    return false;
  }

  // Gives an optional field its default if it is absent. One that has none must be absent; `whose`
  // says who lacks it, `instead` who has it.
  template <typename T>
  void FillOrRefuse(const char* name, const std::optional<T>& usual, absl::string_view whose,
                    const std::string& instead) {
    const FieldDescriptor* const field = v1::TrainingSpec::descriptor()->FindFieldByName(name);
    const google::protobuf::Reflection& reflection = *spec_.GetReflection();
    const bool given = reflection.HasField(spec_, field);
    if (!usual.has_value() && given) {
      return Wrong(name, absl::StrCat("A ", name, " is given, which ", whose,
                                      " has no use for; leave it out, or choose ", instead, "."));
    }
    if (!usual.has_value() || given) return;
    if constexpr (std::is_same_v<T, double>) reflection.SetDouble(&spec_, field, *usual);
    if constexpr (std::is_same_v<T, bool>) reflection.SetBool(&spec_, field, *usual);
    if constexpr (std::is_same_v<T, std::int32_t>) reflection.SetInt32(&spec_, field, *usual);
  }

  template <typename T>
  void ResolveOptimizerField(const char* name, std::optional<T> OptimizerFields::*usual) {
    const EnumDescriptor* const type = v1::Optimizer_descriptor();
    std::vector<std::string> others;
    std::optional<T> value;
    for (const OptimizerFields& known : kOptimizers) {
      if (known.optimizer == spec_.optimizer()) value = known.*usual;
      if ((known.*usual).has_value()) others.push_back(EnumWord(type, known.optimizer));
    }
    FillOrRefuse(name, value, absl::StrCat("the optimizer ", EnumWord(type, spec_.optimizer())),
                 OrList(std::move(others)));
  }

  void ResolveOptimizer();
  void ResolveSchedule();
  void CheckWarmup();
  void CheckRegularization();

  v1::TrainingSpec& spec_;
  std::vector<FieldViolation>& wrong_;
};

void Choices::ResolveOptimizer() {
  ResolveOptimizerField("momentum", &OptimizerFields::momentum);
  ResolveOptimizerField("nesterov", &OptimizerFields::nesterov);
  ResolveOptimizerField("beta1", &OptimizerFields::beta1);
  ResolveOptimizerField("beta2", &OptimizerFields::beta2);
  ResolveOptimizerField("epsilon", &OptimizerFields::epsilon);
  const auto below_one = [this](absl::string_view field, absl::string_view words, double value) {
    Require(field, words, value, value >= 0 && value < 1, "at least 0 and below 1");
  };
  below_one("momentum", "The momentum", spec_.momentum());
  below_one("beta1", "The decay beta1", spec_.beta1());
  below_one("beta2", "The decay beta2", spec_.beta2());
  if (spec_.has_epsilon()) {
    const double epsilon = spec_.epsilon();
    Require("epsilon", "The number epsilon", epsilon, epsilon > 0 && epsilon <= 1,
            "above 0 and at most 1");
  }
  if (spec_.nesterov() && spec_.momentum() == 0) {
    Wrong("nesterov", "Nesterov's momentum is asked for, but the momentum is 0; give one above 0.");
  }
}

void Choices::ResolveSchedule() {
  std::optional<double> factor;
  std::optional<std::int32_t> epochs;
  if (spec_.schedule() == v1::SCHEDULE_STEP) {
    factor = 0.1;
    epochs = DefaultStepEpochs(spec_);
  }
  const std::string whose =
      absl::StrCat("the schedule ", EnumWord(v1::Schedule_descriptor(), spec_.schedule()));
  FillOrRefuse("step_factor", factor, whose, "step");
  FillOrRefuse("step_epochs", epochs, whose, "step");
  if (!factor.has_value()) return;
  Require("step_factor", "The step's factor", spec_.step_factor(),
          spec_.step_factor() > 0 && spec_.step_factor() < 1, "above 0 and below 1");
  Require("step_epochs", "The number of epochs of a step", spec_.step_epochs(),
          spec_.step_epochs() >= 1 && spec_.step_epochs() <= std::max(1, spec_.epochs()),
          absl::StrCat("1 to ", spec_.epochs(), ", the number of epochs"));
}

void Choices::CheckWarmup() {
  const double warmup = spec_.warmup_fraction();
  if (spec_.schedule() == v1::SCHEDULE_COSINE) {
    Require("warmup_fraction", "The warm-up fraction", warmup, warmup >= 0 && warmup < 1,
            "at least 0 and below 1");
  } else {
    Require("warmup_fraction", "The warm-up fraction", warmup, warmup > 0 && warmup < 1,
            "above 0 and below 1");
  }
}

void Choices::CheckRegularization() {
  const auto share = [this](absl::string_view field, absl::string_view words, double value) {
    Require(field, words, value, value >= 0 && value <= 1, "0 to 1");
  };
  const auto below_one = [this](absl::string_view field, absl::string_view words, double value) {
    Require(field, words, value, value >= 0 && value < 1, "at least 0 and below 1");
  };
  // How far the image's size allows it the worker sees.
  Require("shift", "The shift", spec_.shift(), spec_.shift() >= 0 && spec_.shift() <= 16,
          "0 to 16");
  share("random_resized_crop", "The smallest share of a random part", spec_.random_resized_crop());
  Require("rotation", "The rotation", spec_.rotation(),
          spec_.rotation() >= 0 && spec_.rotation() <= 180, "0 to 180 degrees");
  share("color_jitter", "The strength of colour jitter", spec_.color_jitter());
  below_one("label_smoothing", "The label smoothing", spec_.label_smoothing());
  below_one("average_decay", "The average's decay", spec_.average_decay());
  share("erasing", "The share of images to erase in", spec_.erasing());
  share("weight_decay", "The weight decay", spec_.weight_decay());
  const double momentum = spec_.batch_norm_momentum();
  Require("batch_norm_momentum", "The momentum of batch norm", momentum,
          momentum > 0 && momentum <= 1, "above 0 and at most 1");
}

}  // namespace

int DefaultStepEpochs(const v1::TrainingSpec& spec) {
  return std::max(1, (spec.epochs() - spec.schedule_start_epoch() - 1) / 3 + 1);
}

void ResolveTrainingChoices(v1::TrainingSpec* spec, std::vector<FieldViolation>* wrong) {
  Choices(spec, wrong).Resolve();
}

}  // namespace atelier::jobs
