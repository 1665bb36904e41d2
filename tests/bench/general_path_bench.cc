// How fast the general path classifies beside LibTorch's own way of making a network ready: the
// same weights as TorchScript, frozen and optimized for inference. Takes a network, gives it random
// weights, and measures both in turn on one thread, whatever path the network would be served by.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/numbers.h"
#include "models/base/allocator.h"
#include "models/compute/compile.h"
#include "models/torch/libtorch_jit.h"
#include "models/torch/network.h"
#include "models/torch/torchscript.h"

ABSL_FLAG(std::string, network, "docs/networks/depthwise.json", "file with the network's layers");
ABSL_FLAG(int64_t, channels, 3, "channels of the images");
ABSL_FLAG(int64_t, size, 32, "height and width of the images");
ABSL_FLAG(int64_t, classes, 10, "outputs of the network");
ABSL_FLAG(std::vector<std::string>, batches, std::vector<std::string>({"1", "8", "32"}),
          "batch sizes to measure");
ABSL_FLAG(int, rounds, 7, "rounds, each of which measures both");
ABSL_FLAG(double, seconds, 0.3, "time to measure each for in a round");

namespace atelier::models {
namespace {

using Clock = std::chrono::steady_clock;

// Microseconds an image.
double Time(const std::function<void()>& classify, int64_t batch, double seconds) {
  const Clock::time_point begin = Clock::now();
  double taken = 0;
  int64_t images = 0;
  while (taken < seconds) {
    classify();
    images += batch;
    taken = std::chrono::duration<double>(Clock::now() - begin).count();
  }
  return taken * 1e6 / static_cast<double>(images);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

absl::StatusOr<TrainedModel> ReadModel() {
  std::ifstream file(absl::GetFlag(FLAGS_network));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const int64_t size = absl::GetFlag(FLAGS_size);
  const nlohmann::json architecture = {
      {"network", nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false)},
      {"input", {{"channels", absl::GetFlag(FLAGS_channels)}, {"height", size}, {"width", size}}},
      {"classes", absl::GetFlag(FLAGS_classes)},
      {"dropout", 0}};
  const auto parsed = Architecture::FromJson(architecture.dump());
  if (!parsed.ok()) return parsed.status();
  return TrainedModel::Initial(*parsed, 1);
}

void Compare(const TrainedModel& model, torch::jit::Module& frozen, int64_t batch) {
  const auto ours = Compile(model, {.path_choice = PathChoice::kLibTorch});
  std::vector<uint8_t> pixels(static_cast<size_t>(batch * model.architecture.input.size()));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(37 * i);
  std::vector<float> answers(static_cast<size_t>(batch * model.architecture.classes));
  const PixelSpan part = absl::MakeConstSpan(pixels);
  const auto by_us = [&] { ours->Run(absl::MakeConstSpan(&part, 1), answers.data()); };
  // Both get bytes and give numbers.
  const NetworkPlan plan = PlanOf(model.architecture);
  const auto by_frozen = [&] {
    const at::InferenceMode inference;
    const at::Tensor given = frozen.forward({ImagesTensor(plan, pixels)}).toTensor();
    std::copy_n(given.contiguous().data_ptr<float>(), given.numel(), answers.data());
  };
  const double seconds = absl::GetFlag(FLAGS_seconds);
  std::vector<double> our_times;
  std::vector<double> frozen_times;
  std::vector<double> ratios;
  Time(by_us, batch, seconds / 3);
  Time(by_frozen, batch, seconds / 3);
  for (int round = 0; round < absl::GetFlag(FLAGS_rounds); ++round) {
    our_times.push_back(Time(by_us, batch, seconds));
    frozen_times.push_back(Time(by_frozen, batch, seconds));
    ratios.push_back(frozen_times.back() / our_times.back());
  }
  const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
  std::printf("%5lld  %10.1f  %10.1f  %6.2f  %.2f to %.2f\n", static_cast<long long>(batch),
              Median(our_times), Median(frozen_times), Median(ratios), *least, *most);
}

int Main() {
  UseOneTorchThread();
  const auto model = ReadModel();
  if (!model.ok()) {
    std::fprintf(stderr, "general_path_bench: %s\n", std::string(model.status().message()).c_str());
    return 1;
  }
  std::istringstream bytes(SerializeTorchScript(*model));
  torch::jit::Module module = torch::jit::load(bytes);
  module.eval();
  torch::jit::Module frozen = torch::jit::optimize_for_inference(module);
  std::printf("%s, one thread, microseconds an image, medians\n",
              model->architecture.network.name().c_str());
  std::printf("batch        ours      frozen   ratio  of rounds\n");
  for (const std::string& text : absl::GetFlag(FLAGS_batches)) {
    int64_t batch = 0;
    if (!absl::SimpleAtoi(text, &batch) || batch < 1) {
      std::fprintf(stderr, "general_path_bench: '%s' is no batch size\n", text.c_str());
      return 1;
    }
    Compare(*model, frozen, batch);
  }
  return 0;
}

}  // namespace
}  // namespace atelier::models

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("compares the general path with frozen TorchScript");
  absl::ParseCommandLine(argc, argv);
  atelier::models::KeepFreedMemory(64 << 20);  // As the server does.
  return atelier::models::Main();
}
