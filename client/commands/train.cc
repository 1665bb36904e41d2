// `atelier train`: starts a job and follows it.
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/calls/arguments.h"
#include "client/calls/request_id.h"
#include "client/commands/commands.h"
#include "client/commands/follow.h"
#include "client/terminal/exit_codes.h"

namespace atelier::client {
namespace {

struct TrainCommandOptions {
  v1::StartTrainingRequest request;
  bool detach = false;
  FollowOptions follow;

  v1::TrainingSpec* spec() { return request.mutable_spec(); }
};

using Options = std::shared_ptr<TrainCommandOptions>;

// The value, or the parser's error.
template <typename T>
T OrThrow(const char* flag, absl::StatusOr<T> value) {
  if (!value.ok()) throw CLI::ValidationError(flag, std::string(value.status().message()));
  return *std::move(value);
}

template <typename T, typename Set>
void AddSpecOption(CLI::App* command, const char* flag, const char* type, const std::string& help,
                   Set set) {
  command
      ->add_option_function<T>(
          flag, [set](const T& value) { set(value); }, help)
      ->type_name(type);
}

template <typename Set>
void AddEnumOption(CLI::App* command, const char* flag,
                   const google::protobuf::EnumDescriptor* type, const std::string& help, Set set) {
  const auto parse = [flag, type, set](const std::string& word) {
    const auto value = ParseEnum(type, flag, word);
    if (!value.ok()) throw CLI::ValidationError(std::string(value.status().message()));
    set(*value);
  };
  command
      ->add_option_function<std::string>(
          flag, parse, absl::StrCat(help, ": ", absl::StrJoin(EnumWords(type), ", ")))
      ->type_name("NAME");
}

void AddNetworkOptions(CLI::App* command, const Options& options) {
  AddSpecOption<std::string>(command, "--preset", "NAME",
                             "dense, cnn-1, cnn-2, cnn-3, cnn-3-pooled, cnn-3-attention or resnet",
                             [options](auto value) { options->spec()->set_preset(value); });
  AddSpecOption<std::int32_t>(command, "--conv-depth", "N", "or so: 0 is dense, 1 to 3 is cnn-N",
                              [options](auto value) { options->spec()->set_conv_depth(value); });
  AddSpecOption<std::string>(command, "--dataset", "NAME", "The data set [fashion-mnist]",
                             [options](auto value) { options->spec()->set_dataset(value); });
  AddSpecOption<std::string>(command, "--name", "BASE",
                             "First part of the job's name [the preset's]",
                             [options](auto value) { options->request.set_base_name(value); });
  AddSpecOption<std::string>(command, "--model-name", "NAME",
                             "Model that gets a new version [the preset's]",
                             [options](auto value) { options->spec()->set_model_name(value); });
}

void AddScheduleOptions(CLI::App* command, const Options& options) {
  AddSpecOption<std::int32_t>(command, "--epochs", "N", "Epochs at most [20; fast 3, best 60]",
                              [options](auto value) { options->spec()->set_epochs(value); });
  AddSpecOption<std::int32_t>(command, "--batch-size", "N", "Images a step [128]",
                              [options](auto value) { options->spec()->set_batch_size(value); });
  AddSpecOption<double>(command, "--learning-rate", "X",
                        "Adam's highest step size [0.001; fast, best 0.003]",
                        [options](auto value) { options->spec()->set_learning_rate(value); });
  AddEnumOption(
      command, "--schedule", v1::Schedule_descriptor(), "How the learning rate goes [the recipe's]",
      [options](int value) { options->spec()->set_schedule(static_cast<v1::Schedule>(value)); });
  AddSpecOption<double>(command, "--warmup-fraction", "X",
                        "One cycle: part of the steps in which the rate rises [0.25]",
                        [options](auto value) { options->spec()->set_warmup_fraction(value); });
  AddSpecOption<double>(command, "--dropout", "X", "Share of units dropped in dense layers [0.3]",
                        [options](auto value) { options->spec()->set_dropout(value); });
  AddSpecOption<std::int32_t>(command, "--patience", "N",
                              "Epochs without a better one until it stops [5; best 60]",
                              [options](auto value) { options->spec()->set_patience(value); });
  AddSpecOption<double>(command, "--validation-fraction", "X",
                        "Share of images held back for validation [0.1; best 0.05]",
                        [options](auto value) { options->spec()->set_validation_fraction(value); });
  AddSpecOption<std::int64_t>(command, "--seed", "N", "Seed of every random choice [drawn]",
                              [options](auto value) { options->spec()->set_seed(value); });
  AddEnumOption(
      command, "--recipe", v1::Recipe_descriptor(), "Where values that are not given come from",
      [options](int value) { options->spec()->set_recipe(static_cast<v1::Recipe>(value)); });
}

void AddRegularizationOptions(CLI::App* command, const Options& options) {
  AddSpecOption<bool>(command, "--horizontal-flip", "BOOL",
                      "Mirror half of the training images [false; best true]",
                      [options](auto value) { options->spec()->set_horizontal_flip(value); });
  AddSpecOption<std::int32_t>(command, "--shift", "N",
                              "Move training images by up to N pixels [0; best 2]",
                              [options](auto value) { options->spec()->set_shift(value); });
  AddSpecOption<double>(command, "--erasing", "X",
                        "Share of images with a rectangle of noise [0; best 0.25]",
                        [options](auto value) { options->spec()->set_erasing(value); });
  AddSpecOption<double>(command, "--label-smoothing", "X",
                        "Share of the target spread over all classes [0; best 0.1]",
                        [options](auto value) { options->spec()->set_label_smoothing(value); });
  AddSpecOption<double>(command, "--weight-decay", "X",
                        "Share, times the learning rate, off the weights a step [0; best 0.02]",
                        [options](auto value) { options->spec()->set_weight_decay(value); });
  AddSpecOption<double>(command, "--average-decay", "X",
                        "Decay of the weights' moving average, 0 for none [0; best 0.998]",
                        [options](auto value) { options->spec()->set_average_decay(value); });
  AddSpecOption<double>(command, "--batch-norm-momentum", "X",
                        "A step's share in the statistics of batch norm [0.01]",
                        [options](auto value) { options->spec()->set_batch_norm_momentum(value); });
}

void AddResourceOptions(CLI::App* command, const Options& options) {
  AddEnumOption(
      command, "--precision", v1::Precision_descriptor(), "Number format",
      [options](int value) { options->spec()->set_precision(static_cast<v1::Precision>(value)); });
  AddEnumOption(command, "--serving-precision", v1::Precision_descriptor(),
                "Format of the served weights, where as good [float32]", [options](int value) {
                  options->spec()->set_serving_precision(static_cast<v1::Precision>(value));
                });
  AddEnumOption(
      command, "--device", v1::Device_descriptor(), "What computes",
      [options](int value) { options->spec()->set_device(static_cast<v1::Device>(value)); });
  AddSpecOption<std::string>(command, "--shards", "N",
                             "Pieces of a batch, or auto; results depend on it [auto]",
                             [options](const auto& value) {
                               options->spec()->clear_shards();
                               if (value == "auto") return;
                               std::int32_t shards = 0;
                               if (!absl::SimpleAtoi(value, &shards)) {
                                 throw CLI::ValidationError(absl::StrCat(
                                     "--shards is '", value, "'; it must be a number or auto"));
                               }
                               options->spec()->set_shards(shards);
                             });
  AddSpecOption<std::int32_t>(command, "--cores", "N", "Processor cores [the server's choice]",
                              [options](auto value) { options->spec()->set_cores(value); });
  AddSpecOption<std::string>(
      command, "--memory", "SIZE", "Memory it may use, like 2GiB [2GiB]",
      [options](const auto& value) {
        options->spec()->set_memory_bytes(OrThrow("--memory", ParseBytes(value)));
      });
  AddSpecOption<std::int32_t>(command, "--priority", "N",
                              "Higher leaves the queue first, -100 to 100 [0]",
                              [options](auto value) { options->spec()->set_priority(value); });
}

absl::StatusOr<int> Train(Session& session, TrainCommandOptions& options) {
  if (options.request.request_id().empty()) options.request.set_request_id(RandomRequestId());
  // The request id makes it safe to ask again after a broken connection.
  const auto job = session.Call(&TrainingService::StartTraining, options.request, {.repeats = 2});
  if (!job.ok()) return job.status();
  if (!options.detach) return FollowJob(session, *job, options.follow);
  if (session.format() == OutputFormat::kJson) session.PrintJson(*job);
  if (session.format() == OutputFormat::kCsv)
    session.Print(CsvLine({"name"}) + CsvLine({job->name()}));
  if (session.text()) {
    const std::string id(Leaf(job->name()));
    session.Print(
        absl::StrCat("Started ", id, ".\n  ", session.Suggest("watch " + id), "   follows it\n"));
  }
  return kDone;
}

}  // namespace

void AddTrain(CommandSet* commands) {
  const auto options = std::make_shared<TrainCommandOptions>();
  CLI::App* const command = commands->Add(
      {"train",
       "Train a network and watch it",
       "What is not given takes the default in [brackets]. Ctrl-C detaches; the job goes on.\n"
       "Exit codes: 0 completed, 100 failed, 103 stopped, 130 detached, 1 any error.",
       {{"atelier train --preset cnn-3", "the study's deepest network"},
        {"atelier train --preset dense --epochs 3 --seed 1", "a quick one, repeatable"},
        {"atelier train --conv-depth 2 --name night --detach", "in the background"},
        {"atelier --output=csv train --preset cnn-1", "a row per epoch"}}},
      [options](Session& session) { return Train(session, *options); });
  AddNetworkOptions(command, options);
  AddScheduleOptions(command, options);
  AddRegularizationOptions(command, options);
  AddResourceOptions(command, options);
  AddSpecOption<std::string>(command, "--request-id", "ID",
                             "Repeated with the same ID nothing starts twice",
                             [options](auto value) { options->request.set_request_id(value); });
  command->add_flag("--detach", options->detach, "Start it and return at once");
  AddFollowOptions(command, &options->follow);
}

}  // namespace atelier::client
