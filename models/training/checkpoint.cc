#include "models/training/checkpoint.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <exception>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "models/base/failure.h"
#include "models/base/json_integer.h"
#include "models/files/durable_file.h"
#include "models/files/sha256.h"
#include "models/training/metrics_json.h"

namespace atelier::models {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

static_assert(std::endian::native == std::endian::little, "files hold numbers as memory does");

constexpr absl::string_view kMagic = "atelier-checkpoint 2\n";
constexpr absl::string_view kPrefix = "checkpoint-";
constexpr absl::string_view kSuffix = ".ckpt";
constexpr size_t kDigestSize = 64;
constexpr int64_t kMaxFileBytes = int64_t{32} << 30;

ordered_json DescribeTensors(const std::vector<NamedTensor>& tensors) {
  ordered_json list = ordered_json::array();
  for (const NamedTensor& tensor : tensors) {
    list.push_back({{"name", tensor.name}, {"shape", tensor.shape}});
  }
  return list;
}

ordered_json Describe(const TrainingState& state) {
  ordered_json history = ordered_json::array();
  for (const EpochMetrics& metrics : state.history) history.push_back(EpochMetricsToJson(metrics));
  return {{"fingerprint", state.fingerprint},
          {"history", history},
          {"step", state.epoch.step},
          {"epoch_images", state.epoch.images},
          {"epoch_correct", state.epoch.correct},
          {"epoch_loss_sum", state.epoch.loss_sum},
          {"epoch_training_seconds", state.epoch.training_seconds},
          {"global_step", state.global_step},
          {"best_epoch", state.best_epoch},
          {"continued_epochs", state.continued_epochs},
          {"total_seconds", state.total_seconds},
          {"training_seconds", state.training_seconds},
          {"images", state.images},
          {"moments", state.optimizer_state.empty() ? 0 : state.optimizer_state[0].size()},
          {"moment_vectors", state.optimizer_state.size()},
          {"weights", DescribeTensors(state.weights)},
          {"average", DescribeTensors(state.average)},
          {"best_weights", DescribeTensors(state.best_weights)}};
}

void AppendFloats(std::string& bytes, const std::vector<float>& values) {
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
}

// Takes floats off the front of a file's bytes.
class FloatReader {
 public:
  explicit FloatReader(absl::string_view bytes) : bytes_(bytes) {}

  std::vector<float> Take(size_t count) {
    if (count > bytes_.size() / sizeof(float)) throw std::runtime_error("values are missing");
    std::vector<float> values(count);
    if (count > 0) std::memcpy(values.data(), bytes_.data(), count * sizeof(float));
    bytes_.remove_prefix(count * sizeof(float));
    return values;
  }
  bool AtEnd() const { return bytes_.empty(); }

 private:
  absl::string_view bytes_;
};

std::vector<NamedTensor> TakeTensors(const json& list, FloatReader& values) {
  std::vector<NamedTensor> tensors;
  for (const json& entry : list) {
    NamedTensor tensor{
        entry.at("name").get<std::string>(), entry.at("shape").get<std::vector<int64_t>>(), {}};
    const int64_t size = TensorSpec{.name = tensor.name, .shape = tensor.shape}.size();
    tensor.values = values.Take(static_cast<size_t>(size));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

// Throws whatever nlohmann and FloatReader throw.
TrainingState Parse(absl::string_view description, absl::string_view numbers) {
  const json object = json::parse(description.begin(), description.end());
  TrainingState state;
  object.at("fingerprint").get_to(state.fingerprint);
  for (const json& metrics : object.at("history")) {
    state.history.push_back(EpochMetricsFromJson(metrics));
  }
  state.epoch.step = IntegerAt(object, "step");
  state.epoch.images = IntegerAt(object, "epoch_images");
  state.epoch.correct = IntegerAt(object, "epoch_correct");
  object.at("epoch_loss_sum").get_to(state.epoch.loss_sum);
  object.at("epoch_training_seconds").get_to(state.epoch.training_seconds);
  state.global_step = IntegerAt(object, "global_step");
  state.best_epoch = IntegerAt(object, "best_epoch");
  state.continued_epochs = IntegerOr(object, "continued_epochs", 0);
  object.at("total_seconds").get_to(state.total_seconds);
  object.at("training_seconds").get_to(state.training_seconds);
  state.images = IntegerAt(object, "images");
  FloatReader values(numbers);
  state.weights = TakeTensors(object.at("weights"), values);
  state.average = TakeTensors(object.at("average"), values);
  const auto moments = static_cast<size_t>(IntegerAt(object, "moments"));
  // Files from before there was a choice of optimisers hold Adam's two.
  for (int64_t i = IntegerOr(object, "moment_vectors", 2); i > 0; --i) {
    state.optimizer_state.push_back(values.Take(moments));
  }
  state.best_weights = TakeTensors(object.at("best_weights"), values);
  if (!values.AtEnd()) throw std::runtime_error("there are more values than it lists");
  return state;
}

// Checkpoints of a folder by their steps, newest first.
std::vector<std::pair<int64_t, std::string>> ListCheckpoints(const std::string& dir) {
  std::vector<std::pair<int64_t, std::string>> found;
  std::error_code error;
  for (fs::directory_iterator entry(dir, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    absl::string_view digits = name;
    int64_t step = 0;
    if (absl::ConsumePrefix(&digits, kPrefix) && absl::ConsumeSuffix(&digits, kSuffix) &&
        absl::SimpleAtoi(digits, &step)) {
      found.emplace_back(step, entry->path().string());
    }
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

}  // namespace

absl::Status PrepareCheckpoints(const std::string& dir) {
  if (dir.empty()) return absl::OkStatus();
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  if (!error && access(dir.c_str(), W_OK) == 0) return absl::OkStatus();
  return Failure(FailureReason::kInternal,
                 absl::StrCat("the checkpoint folder ", dir, " cannot be written: ",
                              error ? error.message() : "permission denied"));
}

absl::StatusOr<CheckpointSaved> WriteCheckpoint(const std::string& dir,
                                                const TrainingState& state) {
  const std::string description = Describe(state).dump();
  const uint64_t length = description.size();
  std::string bytes(kMagic);
  bytes.append(reinterpret_cast<const char*>(&length), sizeof(length));
  bytes += description;
  for (const NamedTensor& tensor : state.weights) AppendFloats(bytes, tensor.values);
  for (const NamedTensor& tensor : state.average) AppendFloats(bytes, tensor.values);
  for (const std::vector<float>& vector : state.optimizer_state) AppendFloats(bytes, vector);
  for (const NamedTensor& tensor : state.best_weights) AppendFloats(bytes, tensor.values);
  bytes += Sha256Of(bytes);

  const std::string path =
      (fs::path(dir) / absl::StrCat(kPrefix, state.global_step, kSuffix)).string();
  if (absl::Status status = WriteFileDurably(path, bytes); !status.ok()) return status;
  const auto all = ListCheckpoints(dir);
  bool kept_one = false;
  for (const auto& [step, other] : all) {
    if (step == state.global_step || !std::exchange(kept_one, true)) continue;
    std::error_code ignored;
    fs::remove(other, ignored);
  }
  return CheckpointSaved{path, static_cast<int64_t>(state.history.size()), state.global_step,
                         static_cast<int64_t>(bytes.size())};
}

absl::StatusOr<TrainingState> ReadCheckpoint(const std::string& path) {
  absl::StatusOr<std::string> bytes = ReadWholeFile(path, kMaxFileBytes);
  if (!bytes.ok()) return bytes.status();
  const auto damaged = [&](absl::string_view what) {
    return Failure(FailureReason::kInternal,
                   absl::StrCat("the checkpoint ", path, " is damaged: ", what));
  };
  absl::string_view rest = *bytes;
  if (!absl::ConsumePrefix(&rest, kMagic)) return damaged("it does not begin as one");
  uint64_t length = 0;
  if (rest.size() < sizeof(length) + kDigestSize) return damaged("it is truncated");
  const absl::string_view digest = rest.substr(rest.size() - kDigestSize);
  if (Sha256Of(absl::string_view(*bytes).substr(0, bytes->size() - kDigestSize)) != digest) {
    return damaged("its checksum does not match");
  }
  rest.remove_suffix(kDigestSize);
  std::memcpy(&length, rest.data(), sizeof(length));
  rest.remove_prefix(sizeof(length));
  if (length > rest.size()) return damaged("it is truncated");
  try {
    return Parse(rest.substr(0, length), rest.substr(length));
  } catch (const std::exception& error) {
    return damaged(error.what());
  }
}

std::optional<TrainingState> FindNewestCheckpoint(const std::vector<std::string>& dirs,
                                                  const std::string& fingerprint) {
  std::vector<std::pair<int64_t, std::string>> all;
  for (const std::string& dir : dirs) {
    for (auto& checkpoint : ListCheckpoints(dir)) all.push_back(std::move(checkpoint));
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const auto& [step, path] : all) {
    absl::StatusOr<TrainingState> state = ReadCheckpoint(path);
    if (!state.ok()) continue;
    const auto differences = FingerprintDifferences(state->fingerprint, fingerprint);
    const bool same_method =
        std::find(differences.begin(), differences.end(), kMethodField) == differences.end();
    if (same_method) return *std::move(state);
  }
  return std::nullopt;
}

namespace {

absl::Status Mismatch(const std::vector<std::string>& differences) {
  if (differences == std::vector<std::string>{"dataset"}) {
    return Failure(FailureReason::kBadData,
                   "the data set's files are not those that this training began with; bring "
                   "them back, or begin a new training");
  }
  return Failure(FailureReason::kInvalidSpec,
                 absl::StrCat("the checkpoint was made with other options or data (",
                              absl::StrJoin(differences, ", "),
                              "); continue it with those, or begin in another folder"));
}

// That it holds the network and what the optimiser remembers of it.
absl::Status CheckTensors(const TrainingState& state, const TrainingOptions& options) {
  const Architecture& architecture = options.architecture;
  absl::Status weights = TrainedModel{architecture, state.weights}.Validate();
  if (options.average_decay > 0) {
    weights.Update(TrainedModel{architecture, state.average}.Validate());
  }
  bool complete = static_cast<int64_t>(state.optimizer_state.size()) == options.OptimizerVectors();
  for (const std::vector<float>& vector : state.optimizer_state) {
    complete &= static_cast<int64_t>(vector.size()) == architecture.TrainableParameterCount();
  }
  if (weights.ok() && complete) return absl::OkStatus();
  return Failure(FailureReason::kInternal,
                 absl::StrCat("the checkpoint does not hold this network: ", weights.message()));
}

}  // namespace

absl::Status CheckResumable(const TrainingState& state, const std::string& fingerprint,
                            const TrainingOptions& options) {
  if (state.fingerprint != fingerprint) {
    return Mismatch(FingerprintDifferences(state.fingerprint, fingerprint));
  }
  return CheckTensors(state, options);
}

absl::Status CheckContinuable(const TrainingState& state, const std::string& fingerprint,
                              const TrainingOptions& options) {
  const auto differences = FixedDifferences(state.fingerprint, fingerprint);
  return differences.empty() ? CheckTensors(state, options) : Mismatch(differences);
}

}  // namespace atelier::models
