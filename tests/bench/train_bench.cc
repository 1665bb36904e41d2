// Measures training speed: images a second of one network on real or drawn images, in the shape a
// job would run it. Prints a table, or with --json one object.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "models/base/allocator.h"
#include "models/base/random.h"
#include "models/base/step_profile.h"
#include "models/base/stop_signal.h"
#include "models/data/dataset.h"
#include "models/kernels/fastest_precision.h"
#include "models/network/standardization.h"
#include "models/network/training_options.h"
#include "models/training/trainer.h"

ABSL_FLAG(std::string, preset, "cnn-3", "Network, a preset as `atelier train` has them.");
ABSL_FLAG(std::string, network, "",
          "File with a network as `atelier train` reads it, for --preset.");
ABSL_FLAG(std::string, images, "", "As 3x32x32: random images of that shape, for --dataset.");
ABSL_FLAG(int64_t, classes, 10, "Classes of --images.");
ABSL_FLAG(std::string, path, "auto", "auto, or libtorch for networks that kernels cover, too.");
ABSL_FLAG(std::string, dataset, "/usr/share/datasets/fashion-mnist", "Folder of IDX files.");
ABSL_FLAG(int64_t, steps, 100, "Steps to measure, at least 1.");
ABSL_FLAG(int64_t, warmup_steps, 10, "Steps before them that do not count.");
ABSL_FLAG(int64_t, epochs, 0,
          "Measure this many whole epochs, with validation, in place of steps.");
ABSL_FLAG(int64_t, threads, 0, "Threads; 0 for all processors.");
ABSL_FLAG(int64_t, shards, 0, "Shards a batch; 0 for what suits the threads.");
ABSL_FLAG(int64_t, batch_size, 128, "Images a step.");
ABSL_FLAG(std::string, precision, "auto", "auto, float32 or bfloat16.");
ABSL_FLAG(std::string, device, "auto", "auto, cpu or cuda.");
ABSL_FLAG(double, learning_rate, 0.001, "Adam's step size; with one-cycle the highest.");
ABSL_FLAG(bool, one_cycle, false, "Let the learning rate rise and fall over the training.");
ABSL_FLAG(double, warmup_fraction, 0.25, "One-cycle: part of the steps in which it rises.");
ABSL_FLAG(double, dropout, 0.3, "Fraction of units dropped after each hidden dense layer.");
ABSL_FLAG(bool, standardize, false, "Standardize images by the data set's mean and deviation.");
ABSL_FLAG(double, random_resized_crop, 0, "As `atelier train` has it, as are the next four.");
ABSL_FLAG(double, rotation, 0, "");
ABSL_FLAG(bool, horizontal_flip, false, "");
ABSL_FLAG(double, color_jitter, 0, "");
ABSL_FLAG(double, erasing, 0, "");
ABSL_FLAG(uint64_t, seed, 0, "Seed of the training.");
ABSL_FLAG(bool, json, false, "Print one JSON object instead of a table.");

namespace atelier::models {
namespace {

using Clock = std::chrono::steady_clock;

// Of the process so far, all threads.
double CpuSeconds() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Times steps, and stops the training when it has enough.
class StepTimer : public TrainingObserver {
 public:
  StepTimer(int64_t warmup, int64_t steps, StopSignal& stop)
      : warmup_(warmup), steps_(steps), stop_(stop), last_(Clock::now()) {}

  void OnStep(const StepProgress& /*progress*/) override {
    const auto now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    if (first_ == Clock::time_point()) first_ = now;
    ++all_steps_;
    if (warmup_-- > 0) {
      cpu_begin_ = CpuSeconds();
      return;
    }
    cpu_end_ = CpuSeconds();
    seconds_.push_back(seconds);
    if (static_cast<int64_t>(seconds_.size()) == steps_) stop_.Stop();
  }

  void OnEpoch(const EpochMetrics& metrics) override {
    epoch_end_ = Clock::now();
    validation_.push_back(
        {{"loss", metrics.validation_loss}, {"accuracy", metrics.validation_accuracy}});
  }

  const std::vector<double>& seconds() const { return seconds_; }
  // Of every epoch.
  const nlohmann::ordered_json& validation() const { return validation_; }
  // Processor time of those steps.
  double cpu_seconds() const { return cpu_end_ - cpu_begin_; }
  // With the first ones, which do not count.
  int64_t all_steps() const { return all_steps_; }
  // From the first step's end to the last epoch's, in seconds; 0 before both.
  double epochs_seconds() const {
    return std::max(0.0, std::chrono::duration<double>(epoch_end_ - first_).count());
  }

 private:
  int64_t warmup_;
  const int64_t steps_;
  StopSignal& stop_;
  Clock::time_point last_;
  Clock::time_point first_;
  Clock::time_point epoch_end_;
  std::vector<double> seconds_;
  nlohmann::ordered_json validation_ = nlohmann::ordered_json::array();
  double cpu_begin_ = 0;
  double cpu_end_ = 0;
  int64_t all_steps_ = 0;
};

absl::StatusOr<Device> DeviceFromFlag() {
  const std::string name = absl::GetFlag(FLAGS_device);
  if (name == "auto") return CudaAvailable() ? Device::kCuda : Device::kCpu;
  for (const Device device : {Device::kCpu, Device::kCuda}) {
    if (name == DeviceName(device)) return device;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--device is '", name, "'; it must be auto, cpu or cuda"));
}

LabeledImages DrawImages(const ImageShape& shape, int64_t classes, int64_t count,
                         RandomStream& random) {
  std::vector<uint8_t> pixels(static_cast<size_t>(shape.size() * count));
  for (uint8_t& pixel : pixels) pixel = static_cast<uint8_t>(random.NextBelow(256));
  std::vector<ClassLabel> labels(static_cast<size_t>(count));
  for (ClassLabel& label : labels) label = static_cast<ClassLabel>(random.NextBelow(classes));
  return {std::move(pixels), std::move(labels)};
}

absl::StatusOr<std::shared_ptr<const Dataset>> DatasetFromFlags() {
  const std::string images = absl::GetFlag(FLAGS_images);
  if (images.empty()) return Dataset::Load(absl::GetFlag(FLAGS_dataset));
  const std::vector<std::string> sizes = absl::StrSplit(images, 'x');
  ImageShape shape;
  if (sizes.size() != 3 || !absl::SimpleAtoi(sizes[0], &shape.channels) ||
      !absl::SimpleAtoi(sizes[1], &shape.height) || !absl::SimpleAtoi(sizes[2], &shape.width)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--images is '", images, "'; it must be as 3x32x32"));
  }
  const int64_t classes = absl::GetFlag(FLAGS_classes);
  if (classes < 1) {
    return absl::InvalidArgumentError(absl::StrCat("--classes is ", classes, ", not 1 or more"));
  }
  RandomStream random(1, RandomPurpose::kWeights);
  return Dataset::Create(shape, std::vector<std::string>(static_cast<size_t>(classes), "class"),
                         DrawImages(shape, classes, 20'000, random),
                         DrawImages(shape, classes, 1'000, random));
}

absl::StatusOr<Architecture> ArchitectureFromFlags(const Dataset& dataset) {
  const std::string path = absl::GetFlag(FLAGS_network);
  const double dropout = absl::GetFlag(FLAGS_dropout);
  if (path.empty()) {
    return Architecture::FromPreset(absl::GetFlag(FLAGS_preset), dataset.shape(), dataset.classes(),
                                    dropout);
  }
  std::ifstream file(path);
  const auto network = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  const ImageShape& shape = dataset.shape();
  return Architecture::FromJson(
      nlohmann::json(
          {{"network", network},
           {"input",
            {{"channels", shape.channels}, {"height", shape.height}, {"width", shape.width}}},
           {"classes", dataset.classes()},
           {"dropout", dropout}})
          .dump());
}

absl::StatusOr<TrainingOptions> OptionsFromFlags(const Dataset& dataset) {
  TrainingOptions options;
  auto architecture = ArchitectureFromFlags(dataset);
  if (!architecture.ok()) return architecture.status();
  if (absl::GetFlag(FLAGS_path) == "libtorch") options.path_choice = PathChoice::kLibTorch;
  options.architecture = *architecture;
  if (absl::GetFlag(FLAGS_standardize)) {
    *options.architecture.network.mutable_standardization() = StandardizationOf(dataset);
  }
  options.augmentation = {.random_resized_crop = absl::GetFlag(FLAGS_random_resized_crop),
                          .rotation = absl::GetFlag(FLAGS_rotation),
                          .horizontal_flip = absl::GetFlag(FLAGS_horizontal_flip),
                          .color_jitter = absl::GetFlag(FLAGS_color_jitter),
                          .erasing = absl::GetFlag(FLAGS_erasing)};
  const int64_t epochs = absl::GetFlag(FLAGS_epochs);
  options.epochs = epochs > 0 ? epochs : 10000;
  options.patience = options.epochs;
  options.batch_size = absl::GetFlag(FLAGS_batch_size);
  options.threads = absl::GetFlag(FLAGS_threads);
  if (options.threads == 0) {
    options.threads = std::clamp<int64_t>(std::thread::hardware_concurrency(), 1, 64);
  }
  options.shards = absl::GetFlag(FLAGS_shards);
  options.seed = absl::GetFlag(FLAGS_seed);
  options.learning_rate = absl::GetFlag(FLAGS_learning_rate);
  options.warmup_fraction = absl::GetFlag(FLAGS_warmup_fraction);
  if (absl::GetFlag(FLAGS_one_cycle)) options.schedule = Schedule::kOneCycle;
  auto device = DeviceFromFlag();
  if (!device.ok()) return device.status();
  options.device = *device;
  if (options.shards == 0) {
    options.shards = AutoShards(*device == Device::kCuda ? 1 : options.threads, options.batch_size);
  }
  options.precision = FastestPrecision(options.architecture, options.device);
  if (absl::GetFlag(FLAGS_precision) != "auto") {
    auto precision = ParsePrecision(absl::GetFlag(FLAGS_precision));
    if (!precision.ok()) return precision.status();
    options.precision = *precision;
  }
  return options;
}

int64_t PeakResidentBytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

// Microseconds an image by part of a step, in time of one core; those that take none left out.
nlohmann::ordered_json Parts(const StepProfile& profile, double images) {
  nlohmann::ordered_json parts = nlohmann::ordered_json::object();
  for (size_t i = 0; i < kStepParts; ++i) {
    const auto part = static_cast<StepPart>(i);
    if (profile.seconds(part) <= 0) continue;
    parts[std::string(StepPartName(part))] = 1e6 * profile.seconds(part) / images;
  }
  return parts;
}

nlohmann::ordered_json Report(const TrainingOptions& options, const StepTimer& timer,
                              const StepProfile& profile) {
  std::vector<double> seconds = timer.seconds();
  double total = 0;
  for (const double step : seconds) total += step;
  const auto images = static_cast<double>(seconds.size()) * options.batch_size;
  const auto all_images = static_cast<double>(timer.all_steps()) * options.batch_size;
  std::sort(seconds.begin(), seconds.end());
  return {{"preset", options.architecture.network.name()},
          {"images_per_s", images / total},
          {"images_per_s_median_step", options.batch_size / seconds[seconds.size() / 2]},
          {"steps", seconds.size()},
          {"epochs_seconds", timer.epochs_seconds()},
          {"validation", timer.validation()},
          {"batch_size", options.batch_size},
          {"shards", options.shards},
          {"threads", options.threads},
          {"precision", std::string(PrecisionName(options.precision))},
          {"device", std::string(DeviceName(options.device))},
          {"images_per_cpu_s", images / timer.cpu_seconds()},
          {"us_per_image", Parts(profile, all_images)},
          {"peak_resident_bytes", PeakResidentBytes()}};
}

absl::Status RunBenchmark() {
  int64_t steps = absl::GetFlag(FLAGS_steps);
  if (steps < 1)
    return absl::InvalidArgumentError(absl::StrCat("--steps is ", steps, ", not 1 or more"));
  if (absl::GetFlag(FLAGS_epochs) > 0) steps = std::numeric_limits<int64_t>::max();
  auto dataset = DatasetFromFlags();
  if (!dataset.ok()) return dataset.status();
  auto options = OptionsFromFlags(**dataset);
  if (!options.ok()) return options.status();
  auto trainer = Trainer::Create(*options, *dataset);
  if (!trainer.ok()) return trainer.status();
  StopSignal stop;
  StepTimer timer(absl::GetFlag(FLAGS_warmup_steps), steps, stop);
  auto outcome = (*trainer)->Run(&timer, &stop);
  if (!outcome.ok()) return outcome.status();
  const nlohmann::ordered_json report = Report(*options, timer, (*trainer)->profile());
  if (absl::GetFlag(FLAGS_json)) {
    std::cout << report.dump() << "\n";
  } else {
    for (const auto& [name, value] : report.items()) {
      std::printf("%-26s %s\n", name.c_str(), value.dump().c_str());
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace atelier::models

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "Measures training speed. Example: train_bench --preset=cnn-3 --json");
  absl::ParseCommandLine(argc, argv);
  atelier::models::KeepFreedMemory(1 << 30);
  const absl::Status status = atelier::models::RunBenchmark();
  if (status.ok()) return 0;
  std::cerr << "train_bench: " << status.message() << "\n";
  return 1;
}
