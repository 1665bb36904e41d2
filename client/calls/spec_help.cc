#include "client/calls/spec_help.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/calls/arguments.h"

namespace atelier::client {
namespace {

struct Row {
  const char* field;
  const char* type;
  const char* meaning;
  // As ListRecipes gives them: the study's value, then those that differ.
  const char* defaults;
};

constexpr std::array kRows = {
    Row{"preset", "NAME", "dense, cnn-1, cnn-2, cnn-3, cnn-3-pooled, cnn-3-attention or resnet",
        ""},
    Row{"conv_depth", "N", "Alternative to --preset: 0 = dense, 1–3 = cnn-N", ""},
    Row{"network", "FILE", "Network of your own, in JSON; see `atelier network`", ""},
    Row{"conv", "LIST", "Filters of each convolution: 32,64,128", "the preset's"},
    Row{"kernel", "N", "Height and width of the kernels", "3"},
    Row{"pool", "LIST", "Pooling after each convolution, 0 for none: 2,2,0", "the preset's"},
    Row{"pooling", "NAME", "What pooling computes", "max"},
    Row{"activation", "NAME", "Function after convolutions and dense layers", "relu"},
    Row{"batch_norm", "BOOL", "Batch norm after every convolution", "true"},
    Row{"dense", "LIST", "Units of each hidden dense layer, 0 for none: 128,64", "the preset's"},
    Row{"residual", "BOOL", "Residual blocks", "the preset's"},
    Row{"start_from", "MODEL", "Model version whose weights to start from", "none"},
    Row{"freeze", "N", "First layers that are not trained; needs weights to keep", "0"},
    Row{"dataset", "NAME", "Data set", "fashion-mnist"},
    Row{"model_name", "NAME", "Model that gets a new version", "the preset"},
    Row{"recipe", "NAME", "Named set of training defaults", "study"},
    Row{"epochs", "N", "Maximum number of epochs", "20; fast 3, best 60"},
    Row{"batch_size", "N", "Images per step", "128"},
    Row{"optimizer", "NAME", "Rule of a step", "adamw"},
    Row{"learning_rate", "X", "Step size, the largest of a schedule", "0.001; fast, best 0.003"},
    Row{"schedule", "NAME", "Learning-rate schedule", "constant; fast, best one_cycle"},
    Row{"warmup_fraction", "X", "Fraction of a cycle in which the rate rises", "0.25"},
    Row{"step_factor", "X", "Schedule step: factor of the rate", "0.1"},
    Row{"step_epochs", "N", "Schedule step: epochs of a step", "a third of the epochs"},
    Row{"momentum", "X", "Momentum of sgd, rmsprop and muon", "sgd 0.9, rmsprop 0, muon 0.95"},
    Row{"nesterov", "BOOL", "Nesterov's momentum", "sgd false, muon true"},
    Row{"beta1", "X", "Adam's decay of the mean gradient", "0.9"},
    Row{"beta2", "X", "Decay of the mean squared gradient", "0.999; rmsprop 0.99"},
    Row{"epsilon", "X", "Added to the root of that mean", "1e-7"},
    Row{"dropout", "X", "Fraction of dense units dropped", "0.3"},
    Row{"patience", "N", "Epochs without improvement before it stops", "5; best 60"},
    Row{"monitor", "NAME", "Decides the best epoch", "validation_loss"},
    Row{"min_delta", "X", "Least improvement that counts", "0"},
    Row{"validation_fraction", "X", "Fraction held out for validation", "0.1; best 0.05"},
    Row{"seed", "N", "Seed of every random choice", "random"},
    Row{"standardize", "BOOL", "Standardize images inside of the model", "false"},
    Row{"random_resized_crop", "X", "Random parts of at least this area; 0 = off", "0"},
    Row{"rotation", "DEGREES", "Rotate training images by up to this", "0"},
    Row{"horizontal_flip", "BOOL", "Mirror half of the training images", "false; best true"},
    Row{"shift", "N", "Shift training images by up to N pixels", "0; best 2"},
    Row{"color_jitter", "X", "Random brightness, contrast, saturation", "0"},
    Row{"erasing", "X", "Fraction of images with a random erasure", "0; best 0.25"},
    Row{"label_smoothing", "X", "Fraction of the target spread over classes", "0; best 0.1"},
    Row{"class_weights", "WEIGHTS", "none, balanced or one for each class: 1:1:2.5", "none"},
    Row{"max_gradient_norm", "X", "Norm to which gradients are clipped; 0 = off", "0"},
    Row{"weight_decay", "X", "Weight decay; decoupled with adamw and muon", "0; best 0.02"},
    Row{"average_decay", "X", "Decay of the weights' moving average", "0; best 0.998"},
    Row{"batch_norm_momentum", "X", "Weight of a step in batch-norm statistics", "0.01"},
    Row{"precision", "NAME", "Number format of training", "auto"},
    Row{"serving_precision", "NAME", "Number format of served weights", "float32"},
    Row{"device", "NAME", "Where to train", "auto"},
    Row{"shards", "N", "Pieces of a batch, or auto; affects results", "auto"},
    Row{"cores", "N", "Processor cores", "the server's default"},
    Row{"memory_bytes", "SIZE", "Memory limit", "2GiB"},
    Row{"nodes", "N", "Processes that train together, each with these", "1"},
    Row{"continues", "JOB", "The job that is continued; set by the server", ""},
    Row{"schedule_start_epoch", "N", "Epochs before the schedule; set by the server", ""},
    Row{"priority", "N", "-100 to 100; higher starts first", "0"},
    Row{"slurm_args", "ARGS", "Further arguments for sbatch, as the server allows", ""},
};

// The place of the field's row; the number of rows if it has none.
std::size_t PlaceOf(SpecField field) {
  return static_cast<std::size_t>(
      std::find_if(kRows.begin(), kRows.end(),
                   [field](const Row& row) { return field->name() == row.field; }) -
      kRows.begin());
}

}  // namespace

std::vector<SpecField> FieldsInHelpOrder() {
  std::vector<SpecField> fields;
  const auto* const type = v1::TrainingSpec::descriptor();
  for (int i = 0; i < type->field_count(); ++i) fields.push_back(type->field(i));
  std::stable_sort(fields.begin(), fields.end(),
                   [](SpecField a, SpecField b) { return PlaceOf(a) < PlaceOf(b); });
  return fields;
}

SpecHelp HelpOf(SpecField field) {
  const std::size_t place = PlaceOf(field);
  if (place == kRows.size()) return {"VALUE", ""};
  const Row& row = kRows[place];
  SpecHelp help{row.type, row.meaning};
  if (field->enum_type() != nullptr) {
    absl::StrAppend(&help.text, ": ", absl::StrJoin(EnumWords(field->enum_type()), ", "));
  }
  if (*row.defaults != '\0') absl::StrAppend(&help.text, " [", row.defaults, "]");
  return help;
}

}  // namespace atelier::client
