#include "server/jobs/spec_resolver.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/jobs/class_weights.h"
#include "server/jobs/job_kind.h"
#include "server/jobs/job_resources.h"
#include "server/jobs/recipes.h"
#include "server/jobs/resource_names.h"
#include "server/jobs/start_choices.h"
#include "server/jobs/training_choices.h"
#include "server/jobs/validation_choice.h"

namespace atelier::jobs {
namespace {

constexpr std::int64_t kDefaultMemory = std::int64_t{2} << 30;
constexpr int kMaxShards = 64;

// Goes through one request, collecting what is wrong and filling what is left out.
class Resolution {
 public:
  Resolution(const SpecResolver::Options& options, DatasetSource* datasets,
             const v1::StartTrainingRequest& request)
      : options_(options),
        datasets_(datasets),
        request_(request),
        resolved_{request.spec(), request.base_name(), request.request_id(), {}},
        validation_given_(request.spec().has_validation_fraction()) {}

  absl::StatusOr<ResolvedRequest> Run() {
    auto version = ResolveStart(request_, options_.models, &spec(), &wrong_);
    if (!version.ok()) return version.status();
    start_version_ = *std::move(version);
    ResolvePreset();
    ResolveNetwork();
    ResolveStandardization(start_version_.has_value() ? &*start_version_ : nullptr, &spec(),
                           &wrong_);
    ResolveNames();
    ApplyRecipe();
    CheckSchedule();
    ResolveTrainingChoices(&spec(), &wrong_);
    ResolveDevice();
    ResolveArithmetic();
    ResolveResources();
    if (auto status = ResolveDataset(); !status.ok()) return status;
    if (!wrong_.empty()) return InvalidFields(wrong_);
    return std::move(resolved_);
  }

 private:
  v1::TrainingSpec& spec() { return resolved_.spec; }

  void Wrong(absl::string_view field, std::string description) {
    wrong_.push_back({std::string(field), std::move(description)});
  }

  // Keeps the fields that an error names; returns the error if it names none.
  absl::Status Take(const absl::Status& status) {
    const std::vector<FieldViolation> named = ViolationsOf(status);
    wrong_.insert(wrong_.end(), named.begin(), named.end());
    return named.empty() ? status : absl::OkStatus();
  }

  bool IsWrong(absl::string_view field) const {
    return std::any_of(wrong_.begin(), wrong_.end(),
                       [field](const FieldViolation& v) { return v.field == field; });
  }

  // `words` begins the sentence: "The number of epochs".
  void CheckRange(absl::string_view field, absl::string_view words, std::int64_t value,
                  std::int64_t low, std::int64_t high) {
    if (value >= low && value <= high) return;
    Wrong(field, absl::StrCat(words, " is ", value, "; it must be ", low, " to ", high, "."));
  }

  void CheckBelowOne(absl::string_view field, absl::string_view words, double value) {
    if (value >= 0 && value < 1) return;
    Wrong(field, absl::StrCat(words, " is ", value, "; it must be at least 0 and below 1."));
  }

  // The preset that meets a condition; null if none does.
  template <typename Condition>
  const PresetChoice* FindPreset(Condition condition) const {
    const auto found = std::find_if(options_.presets.begin(), options_.presets.end(), condition);
    return found == options_.presets.end() ? nullptr : &*found;
  }
  const PresetChoice* PresetNamed(absl::string_view name) const {
    return FindPreset([name](const PresetChoice& preset) { return preset.name == name; });
  }
  std::string PresetList() const;
  int MaxDepth() const;

  void ResolveDepth();
  void ResolvePreset();
  void ResolveNetwork();
  void ResolveNames();
  void ApplyRecipe();
  void CheckSchedule();
  void ResolveDevice();
  void ResolveArithmetic();
  void ResolveResources();
  void CheckArguments();
  void CheckSeveralNodes();
  absl::Status ResolveDataset();
  void CheckBatchFits(std::int64_t left_to_train);
  void CheckNetworkFits(const DatasetFacts& facts);
  void DescribeStart(const DatasetFacts& facts);
  void ChoosePrecision(const DatasetFacts& facts);

  const SpecResolver::Options& options_;
  DatasetSource* const datasets_;
  const v1::StartTrainingRequest& request_;
  ResolvedRequest resolved_;
  std::optional<v1::ModelVersion> start_version_;
  const bool validation_given_;  // The request has a validation fraction.
  std::vector<FieldViolation> wrong_;
};

std::string Resolution::PresetList() const {
  return absl::StrJoin(options_.presets, ", ", [](std::string* text, const PresetChoice& preset) {
    absl::StrAppend(text, preset.name);
  });
}

int Resolution::MaxDepth() const {
  int depth = 0;
  for (const PresetChoice& preset : options_.presets) {
    depth = std::max(depth, preset.conv_depth.value_or(0));
  }
  return depth;
}

void Resolution::ResolveDepth() {
  const int depth = spec().conv_depth();
  const PresetChoice* const meant =
      FindPreset([depth](const PresetChoice& preset) { return preset.conv_depth == depth; });
  CheckRange("spec.conv_depth", "The convolutional depth", depth, 0, MaxDepth());
  if (meant == nullptr) return;
  if (spec().preset().empty()) spec().set_preset(meant->name);
  if (PresetNamed(spec().preset()) == nullptr || spec().preset() == meant->name) return;
  Wrong("spec.conv_depth", absl::StrCat("The convolutional depth ", depth, " means the network ",
                                        meant->name, ", but the preset is ", spec().preset(),
                                        "; give one of the two, or two that agree."));
}

void Resolution::ResolvePreset() {
  if (spec().has_conv_depth()) {
    ResolveDepth();
    if (IsWrong("spec.conv_depth") && spec().preset().empty()) return;
  }
  if (spec().preset().empty()) {
    if (spec().has_network() || !spec().conv().empty() || IsWrong("spec.start_from")) return;
    Wrong("spec.preset", absl::StrCat("No network is named; choose one of ", PresetList(),
                                      ", a convolutional depth of 0 to ", MaxDepth(),
                                      ", or give its filters or layers."));
    return;
  }
  const PresetChoice* const preset = PresetNamed(spec().preset());
  if (preset == nullptr) {
    Wrong("spec.preset", absl::StrCat("There is no preset ", Quoted(spec().preset()),
                                      "; choose one of ", PresetList(), "."));
    return;
  }
  if (preset->conv_depth.has_value()) spec().set_conv_depth(*preset->conv_depth);
}

void Resolution::ResolveNetwork() {
  if (!options_.build_network || IsWrong("spec.preset") || IsWrong("spec.conv_depth")) return;
  for (FieldViolation& violation : options_.build_network(&spec())) {
    wrong_.push_back(std::move(violation));
  }
}

void Resolution::ResolveNames() {
  constexpr absl::string_view kRule =
      " characters of a-z, 0-9 and '-', the first and last a letter or digit.";
  const bool preset_known = !IsWrong("spec.preset") && !IsWrong("spec.conv_depth");
  if (resolved_.base_name.empty()) {
    if (preset_known) resolved_.base_name = NetworkName(spec());
  } else if (!IsSlug(resolved_.base_name, 40)) {
    Wrong("base_name", absl::StrCat("The base name ", Quoted(resolved_.base_name),
                                    " cannot be one; it must be 1 to 40", kRule));
  }
  if (spec().model_name().empty()) {
    if (preset_known) spec().set_model_name(NetworkName(spec()));
  } else if (!IsSlug(spec().model_name(), 63)) {
    Wrong("spec.model_name", absl::StrCat("The model name ", Quoted(spec().model_name()),
                                          " cannot be one; it must be 1 to 63", kRule));
  }
  Take(CheckRequestId(resolved_.request_id)).IgnoreError();
}

void Resolution::ApplyRecipe() {
  FillMissing(DefaultsOf(spec().recipe()), &spec());
  if (!v1::Recipe_IsValid(spec().recipe())) {
    Wrong("spec.recipe",
          absl::StrCat("There is no recipe ", static_cast<int>(spec().recipe()), "; choose one of ",
                       absl::StrJoin(Recipes(), ", ",
                                     [](std::string* text, const v1::RecipeDefaults& recipe) {
                                       absl::StrAppend(text, v1::Recipe_Name(recipe.recipe()));
                                     }),
                       "."));
  }
  if (!spec().has_seed()) spec().set_seed(options_.draw_seed());
}

void Resolution::CheckSchedule() {
  CheckRange("spec.epochs", "The number of epochs", spec().epochs(), 1, 10'000);
  CheckRange("spec.batch_size", "The batch size", spec().batch_size(), 1, 65'536);
  CheckRange("spec.patience", "The patience", spec().patience(), 1, 10'000);
  // Written so that NaN fails.
  if (!(spec().learning_rate() > 0 && spec().learning_rate() <= 10)) {
    Wrong("spec.learning_rate", absl::StrCat("The learning rate is ", spec().learning_rate(),
                                             "; it must be above 0 and at most 10."));
  }
  CheckBelowOne("spec.dropout", "The dropout", spec().dropout());
  if (!(spec().validation_fraction() >= 0.01 && spec().validation_fraction() <= 0.5)) {
    Wrong("spec.validation_fraction",
          absl::StrCat("The validation fraction is ", spec().validation_fraction(),
                       "; it must be 0.01 to 0.5."));
  }
}

void Resolution::ResolveDevice() {
  switch (spec().device()) {
    case v1::DEVICE_AUTO:
      // Several nodes train on their processors.
      spec().set_device(options_.cuda && spec().nodes() <= 1 ? v1::DEVICE_CUDA : v1::DEVICE_CPU);
      break;
    case v1::DEVICE_CPU:
      break;
    case v1::DEVICE_CUDA:
      if (!options_.cuda) {
        Wrong("spec.device",
              "The server has no GPU that its LibTorch can use; choose auto or cpu.");
      }
      break;
    default:
      Wrong("spec.device", absl::StrCat("There is no device ", static_cast<int>(spec().device()),
                                        "; choose auto, cpu or cuda."));
  }
}

void Resolution::ResolveArithmetic() {
  switch (spec().precision()) {
    case v1::PRECISION_AUTO:  // See ChoosePrecision.
    case v1::PRECISION_FLOAT32:
      break;
    case v1::PRECISION_BFLOAT16:
      if (!options_.bfloat16 && spec().device() != v1::DEVICE_CUDA) {
        Wrong("spec.precision",
              "The server's processor lacks AVX-512 BF16 and AMX; choose auto or float32.");
      }
      break;
    default:
      Wrong("spec.precision",
            absl::StrCat("There is no precision ", static_cast<int>(spec().precision()),
                         "; choose auto, float32 or bfloat16."));
  }
  switch (spec().serving_precision()) {
    case v1::PRECISION_AUTO:
      spec().set_serving_precision(v1::PRECISION_BFLOAT16);
      break;
    case v1::PRECISION_FLOAT32:
    case v1::PRECISION_BFLOAT16:
      break;
    default:
      Wrong("spec.serving_precision",
            absl::StrCat("There is no precision ", static_cast<int>(spec().serving_precision()),
                         "; choose auto, float32 or bfloat16."));
  }
}

void Resolution::ResolveResources() {
  FillResources(options_, kDefaultMemory, &spec());
  CheckResources(options_, "spec.", spec(), &wrong_);
  CheckRange("spec.priority", "The priority", spec().priority(), -100, 100);
  CheckArguments();
  if (!spec().has_nodes()) spec().set_nodes(1);
  CheckRange("spec.nodes", "The number of nodes", spec().nodes(), 1, kMaxNodes);

  const bool batch_wrong = IsWrong("spec.batch_size");
  if (!spec().has_shards()) {
    // A GPU is quickest with the whole batch.
    const bool cuda = spec().device() == v1::DEVICE_CUDA;
    const std::int64_t cores = std::int64_t{spec().cores()} * spec().nodes();
    int shards = cuda ? 1 : static_cast<int>(std::clamp<std::int64_t>(cores, 1, kMaxShards));
    while (!batch_wrong && spec().batch_size() % shards != 0) --shards;
    spec().set_shards(shards);
  }
  CheckRange("spec.shards", "The number of shards", spec().shards(), 1, kMaxShards);
  if (!IsWrong("spec.shards") && !batch_wrong && spec().batch_size() % spec().shards() != 0) {
    Wrong("spec.shards",
          absl::StrCat("The number of shards is ", spec().shards(),
                       "; it must divide the batch size, which is ", spec().batch_size(), "."));
  }
  if (spec().nodes() > 1 && !IsWrong("spec.nodes")) CheckSeveralNodes();
}

void Resolution::CheckSeveralNodes() {
  const int nodes = spec().nodes();
  if (!options_.nodes_refused.empty()) {
    Wrong("spec.nodes", options_.nodes_refused);
  } else if (spec().device() == v1::DEVICE_CUDA) {
    Wrong("spec.nodes", "Several nodes train on their processors alone; give the device cpu.");
  } else if (nodes > spec().shards()) {
    Wrong("spec.nodes", absl::StrCat("The number of nodes is ", nodes, "; the batch has ",
                                     spec().shards(), " shards, and each node needs one."));
  } else if (options_.nodes_are_here && spec().cores() > options_.max_cores / nodes) {
    Wrong("spec.nodes",
          absl::StrCat("Nodes are processes of this server, which has ", options_.max_cores,
                       " cores; ", nodes, " nodes of ", spec().cores(), " need more."));
  } else if (options_.nodes_are_here && spec().memory_bytes() > MostMemory(options_) / nodes) {
    Wrong("spec.nodes", absl::StrCat("Nodes are processes of this server, which has ",
                                     MostMemory(options_), " bytes of memory for jobs; ", nodes,
                                     " nodes of ", spec().memory_bytes(), " need more."));
  }
}

void Resolution::CheckArguments() {
  const std::vector<std::string> arguments = EngineArguments(spec());
  if (arguments.empty()) return;
  const absl::Status checked =
      options_.check_arguments
          ? options_.check_arguments(arguments)
          : absl::InvalidArgumentError("The server has no engine that takes arguments");
  if (!checked.ok()) Wrong("spec.slurm_args", absl::StrCat(checked.message(), "."));
}

absl::Status Resolution::ResolveDataset() {
  const auto facts = DescribeUsable(spec().dataset(), "spec.dataset", datasets_);
  if (!facts.ok()) return Take(facts.status());
  if (facts->training_images == 0) {
    Wrong("spec.dataset", absl::StrCat("The data set ", facts->reference,
                                       " has no training images; models are evaluated on it."));
    return absl::OkStatus();
  }
  // From here on the version is fixed.
  spec().set_dataset(facts->reference);
  ResolveClassWeights(*facts, &spec(), &wrong_);
  CheckBatchFits(ResolveValidation(*facts, validation_given_, &spec(), &wrong_));
  CheckNetworkFits(*facts);
  DescribeStart(*facts);
  ChoosePrecision(*facts);
  return absl::OkStatus();
}

void Resolution::ChoosePrecision(const DatasetFacts& facts) {
  if (spec().precision() != v1::PRECISION_AUTO) return;
  spec().set_precision(v1::PRECISION_FLOAT32);
  if (!options_.fastest_precision || !wrong_.empty()) return;
  spec().set_precision(options_.fastest_precision(spec(), facts));
}

void Resolution::DescribeStart(const DatasetFacts& facts) {
  if (!start_version_.has_value() && spec().freeze() == 0) return;
  // What is wrong with the network or its version is told already.
  const bool usable = !IsWrong("spec.dropout") && !IsWrong("spec.preset") &&
                      !IsWrong("spec.network") && !IsWrong("spec.start_from");
  if (!options_.describe_start || !usable) return;
  const v1::ModelVersion* const version = start_version_.has_value() ? &*start_version_ : nullptr;
  for (FieldViolation& violation :
       options_.describe_start(spec(), facts, version, &resolved_.start)) {
    wrong_.push_back(std::move(violation));
  }
}

void Resolution::CheckNetworkFits(const DatasetFacts& facts) {
  const bool usable = spec().has_network() && !IsWrong("spec.dropout") && !IsWrong("spec.shards") &&
                      !IsWrong("spec.memory_bytes");
  if (!options_.network_problem || !usable) return;
  const std::string problem = options_.network_problem(spec(), facts);
  if (problem.empty()) return;
  const v1::ImageShape& shape = facts.image_shape;
  Wrong(spec().preset().empty() ? "spec.network" : "spec.preset",
        absl::StrCat("The network ", NetworkName(spec()), " cannot be trained on ",
                     spec().dataset(), ", whose images are ", shape.channels(), "x", shape.height(),
                     "x", shape.width(), " (channels x height x width): ", problem, "."));
}

void Resolution::CheckBatchFits(std::int64_t left_to_train) {
  if (IsWrong("spec.batch_size") || IsWrong("spec.validation_fraction")) return;
  if (spec().batch_size() <= left_to_train) return;
  Wrong("spec.batch_size",
        absl::StrCat("The batch size is ", spec().batch_size(), "; it must be at most ",
                     left_to_train, ", the training images of ", spec().dataset(),
                     " without those held back for validation."));
}

}  // namespace

std::int64_t SpecResolver::RandomSeed() {
  absl::BitGen generator;
  return absl::Uniform<std::int64_t>(generator, 0, std::int64_t{1} << 31);
}

SpecResolver::SpecResolver(Options options, DatasetSource* datasets)
    : options_(std::move(options)), datasets_(datasets) {}

absl::StatusOr<ResolvedRequest> SpecResolver::Resolve(
    const v1::StartTrainingRequest& request) const {
  return Resolution(options_, datasets_, request).Run();
}

}  // namespace atelier::jobs
