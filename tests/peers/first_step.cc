// Trains a network without dropout and in one shard, always on the same batch, and writes down
// everything that went in and came out, for comparison with another implementation. Into a folder:
//
//   images.u8, labels.u16     the batch, N×C×H×W bytes and N class indices of two bytes
//   weights/NAME.f32         every tensor of the model before the step
//   gradients/NAME.f32       of the mean loss, by every trainable tensor
//   after/NAME.f32           every tensor after --steps steps with the options of the flags
//   probabilities.f32        of the model before the step, as it is served, N×classes
//   model.pt, model.onnx     that model
//   step.json                the loss, the code that computed it, names and shapes of the tensors
//
// Numbers are those of this machine's memory, little-endian.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "models/archive/onnx_export.h"
#include "models/base/random.h"
#include "models/compute/compile.h"
#include "models/network/architecture.h"
#include "models/network/torch_library.h"
#include "models/network/trained_model.h"
#include "models/network/training_options.h"
#include "models/training/training_engine.h"

ABSL_FLAG(std::string, architecture, "", "File with the network's architecture as JSON.");
ABSL_FLAG(std::string, folder, "", "Folder to write to; made if it is not there.");
ABSL_FLAG(uint64_t, seed, 0, "Seed of images, labels and weights.");
ABSL_FLAG(int64_t, images, 16, "Images in the batch, at least 1.");
ABSL_FLAG(int64_t, steps, 1, "Steps before the tensors in after/, at least 1.");
ABSL_FLAG(std::string, optimizer, "adamw", "adamw, adam, sgd, rmsprop or muon.");
ABSL_FLAG(double, learning_rate, 0.001, "Of every step.");
ABSL_FLAG(double, momentum, 0, "Of sgd, rmsprop and muon.");
ABSL_FLAG(bool, nesterov, false, "Nesterov's momentum, of sgd and muon.");
ABSL_FLAG(double, beta2, 0.999, "Decay of the mean squared gradient.");
ABSL_FLAG(double, weight_decay, 0, "Weight decay.");
ABSL_FLAG(double, label_smoothing, 0, "Share of the target that is spread over the classes.");
ABSL_FLAG(double, max_gradient_norm, 0, "Norm to which gradients are clipped; 0 for none.");
ABSL_FLAG(std::vector<std::string>, class_weights, {}, "A number for each class, or nothing.");

namespace atelier::models {
namespace {

absl::Status Write(const std::string& path, const void* data, size_t size) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(static_cast<const char*>(data), static_cast<std::streamsize>(size));
  file.close();
  return file ? absl::OkStatus() : absl::InternalError(absl::StrCat("cannot write ", path));
}

template <typename Values>
absl::Status WriteValues(const std::string& path, const Values& values) {
  return Write(path, values.data(), values.size() * sizeof(values[0]));
}

absl::Status WriteTensors(const std::string& folder, const std::vector<NamedTensor>& tensors) {
  absl::Status status;
  for (const NamedTensor& tensor : tensors) {
    status.Update(WriteValues(absl::StrCat(folder, "/", tensor.name, ".f32"), tensor.values));
  }
  return status;
}

// Dropout layers that drop nothing, those inside of residual blocks included.
void WithoutDropout(google::protobuf::RepeatedPtrField<v1::Layer>& layers) {
  for (v1::Layer& layer : layers) {
    if (layer.has_dropout()) layer.mutable_dropout()->set_rate(0);
    if (layer.has_spatial_dropout()) layer.mutable_spatial_dropout()->set_rate(0);
    if (layer.has_residual()) WithoutDropout(*layer.mutable_residual()->mutable_layers());
  }
}

// Noise, in each image between two bytes of its own: images of pure noise are too much alike once
// they are averaged, and what is normalised then is mostly rounding.
LabeledImages DrawImages(const Architecture& architecture, RandomStream& random) {
  std::vector<uint8_t> pixels;
  std::vector<ClassLabel> labels;
  for (int64_t i = 0; i < absl::GetFlag(FLAGS_images); ++i) {
    const uint64_t darkest = random.NextBelow(156);
    const uint64_t range = 10 + random.NextBelow(256 - darkest - 9);
    for (int64_t j = 0; j < architecture.input.size(); ++j) {
      pixels.push_back(static_cast<uint8_t>(darkest + random.NextBelow(range)));
    }
    labels.push_back(
        static_cast<ClassLabel>(random.NextBelow(static_cast<uint64_t>(architecture.classes))));
  }
  return {std::move(pixels), std::move(labels)};
}

// An untrained model but for biases, scales and statistics, which are as if trained: zeros and ones
// would hide what they are used for.
TrainedModel DrawModel(const Architecture& architecture, RandomStream& random) {
  TrainedModel model = TrainedModel::Initial(architecture, absl::GetFlag(FLAGS_seed));
  for (NamedTensor& tensor : model.tensors) {
    if (tensor.shape.size() != 1) continue;
    for (float& value : tensor.values) value += 0.5F * random.NextFloat();
  }
  return model;
}

// The first step leaves (1 - beta1) of the gradients in Adam's first moment.
std::vector<NamedTensor> GradientsOf(const TrainingEngine& engine, const TrainingOptions& options) {
  const std::vector<float> moment = engine.OptimizerState()[0];
  const auto share = static_cast<float>(1 - options.adam_beta1);
  std::vector<NamedTensor> gradients;
  const float* next = moment.data();
  for (const TensorSpec& spec : TensorSpecsOf(options.architecture)) {
    if (!spec.trainable) continue;
    gradients.push_back({spec.name, spec.shape, {next, next + spec.size()}});
    for (float& value : gradients.back().values) value /= share;
    next += spec.size();
  }
  return gradients;
}

nlohmann::ordered_json Describe(const TrainingEngine& engine, const PassResult& result,
                                const Architecture& architecture) {
  nlohmann::ordered_json tensors = nlohmann::ordered_json::array();
  for (const TensorSpec& spec : TensorSpecsOf(architecture)) {
    tensors.push_back({{"name", spec.name}, {"shape", spec.shape}, {"trainable", spec.trainable}});
  }
  return {{"loss", result.loss_sum / static_cast<double>(absl::GetFlag(FLAGS_images))},
          {"correct", result.correct},
          {"path", std::string(ComputePathName(engine.path()))},
          {"tensors", tensors}};
}

absl::Status WriteModel(const std::string& folder, const TrainedModel& model,
                        const LabeledImages& images) {
  std::vector<float> probabilities(static_cast<size_t>(images.size() * model.architecture.classes));
  const PixelSpan pixels = absl::MakeConstSpan(images.pixels.data(), images.pixels.size());
  Compile(model)->Run(absl::MakeConstSpan(&pixels, 1), probabilities.data());
  std::vector<std::string> names;
  for (int64_t i = 0; i < model.architecture.classes; ++i) names.push_back(absl::StrCat(i));
  const absl::StatusOr<std::string> onnx = SerializeOnnx(model, names);
  if (!onnx.ok()) return onnx.status();
  absl::Status status = WriteTensors(folder + "/weights", model.tensors);
  status.Update(WriteValues(folder + "/probabilities.f32", probabilities));
  status.Update(WriteValues(folder + "/model.onnx", *onnx));
  status.Update(WriteValues(folder + "/model.pt", TorchLibrary::Get().SerializeTorchScript(model)));
  return status;
}

absl::StatusOr<Architecture> ReadArchitecture() {
  std::ostringstream text;
  text << std::ifstream(absl::GetFlag(FLAGS_architecture)).rdbuf();
  absl::StatusOr<Architecture> architecture = Architecture::FromJson(text.str());
  if (architecture.ok()) WithoutDropout(*architecture->network.mutable_layers());
  return architecture;
}

absl::StatusOr<TrainingOptions> OptionsFromFlags(TrainingOptions options) {
  options.learning_rate = absl::GetFlag(FLAGS_learning_rate);
  options.momentum = absl::GetFlag(FLAGS_momentum);
  options.nesterov = absl::GetFlag(FLAGS_nesterov);
  options.adam_beta2 = absl::GetFlag(FLAGS_beta2);
  options.weight_decay = absl::GetFlag(FLAGS_weight_decay);
  options.label_smoothing = absl::GetFlag(FLAGS_label_smoothing);
  options.max_gradient_norm = absl::GetFlag(FLAGS_max_gradient_norm);
  for (const std::string& text : absl::GetFlag(FLAGS_class_weights)) {
    double weight = 0;
    if (!absl::SimpleAtod(text, &weight)) {
      return absl::InvalidArgumentError(absl::StrCat("--class_weights: '", text, "' is no number"));
    }
    options.class_weights.push_back(weight);
  }
  const std::string name = absl::GetFlag(FLAGS_optimizer);
  for (const Optimizer optimizer : {Optimizer::kAdamW, Optimizer::kAdam, Optimizer::kSgd,
                                    Optimizer::kRmsprop, Optimizer::kMuon}) {
    options.optimizer = optimizer;
    if (OptimizerName(optimizer) == name) return options;
  }
  return absl::InvalidArgumentError(absl::StrCat("--optimizer is '", name, "'"));
}

absl::Status Run() {
  if (absl::GetFlag(FLAGS_images) < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("--images is ", absl::GetFlag(FLAGS_images), ", not 1 or more"));
  }
  const absl::StatusOr<Architecture> architecture = ReadArchitecture();
  if (!architecture.ok()) return architecture.status();
  RandomStream random(absl::GetFlag(FLAGS_seed), RandomPurpose::kWeights, /*first=*/1'000'000);
  const LabeledImages images = DrawImages(*architecture, random);
  const TrainedModel model = DrawModel(*architecture, random);
  TrainingOptions options;
  options.architecture = *architecture;
  options.batch_size = images.size();
  TrainingEngine engine(options, images, model);
  std::vector<int32_t> indices(static_cast<size_t>(images.size()));
  std::iota(indices.begin(), indices.end(), 0);
  const PassResult result = engine.Step(indices, /*step=*/0, options.learning_rate);
  const absl::StatusOr<TrainingOptions> chosen = OptionsFromFlags(options);
  if (!chosen.ok()) return chosen.status();
  TrainingEngine trained(*chosen, images, model);
  for (int64_t step = 0; step < absl::GetFlag(FLAGS_steps); ++step) {
    trained.Step(indices, step, chosen->learning_rate);
  }
  const std::string folder = absl::GetFlag(FLAGS_folder);
  absl::Status status = WriteModel(folder, model, images);
  status.Update(WriteValues(folder + "/images.u8", images.pixels));
  status.Update(WriteValues(folder + "/labels.u16", images.labels));
  status.Update(WriteTensors(folder + "/gradients", GradientsOf(engine, options)));
  status.Update(WriteTensors(folder + "/after", trained.Weights()));
  status.Update(
      WriteValues(folder + "/step.json", Describe(engine, result, *architecture).dump(1)));
  return status;
}

}  // namespace
}  // namespace atelier::models

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "Trains a network for a step or some and writes down what went in and came out.\n"
      "Example: first_step --architecture=network.json --folder=out --seed=3");
  absl::ParseCommandLine(argc, argv);
  try {
    const absl::Status status = atelier::models::Run();
    if (status.ok()) return 0;
    std::cerr << "first_step: " << status.message() << "\n";
  } catch (const std::exception& error) {
    std::cerr << "first_step: " << error.what() << "\n";
  }
  return 1;
}
