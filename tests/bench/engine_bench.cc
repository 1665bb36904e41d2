// How fast a model classifies without a server around it: the ceiling of Classify. Takes a
// model.tar.gz and prints the time per image on one thread by batch size, and the throughput of all
// cores that serving would use, each thread computing batches of its own.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/numbers.h"
#include "models/archive/predictor.h"

ABSL_FLAG(std::string, model, "", "the model.tar.gz to classify with");
ABSL_FLAG(int, threads, 0, "threads for the throughput; 0 takes all cores");
ABSL_FLAG(std::vector<std::string>, batches,
          std::vector<std::string>({"1", "2", "4", "8", "16", "32", "64"}),
          "batch sizes to measure on one thread");
ABSL_FLAG(double, seconds, 1.0, "time to measure each batch size for");
ABSL_FLAG(bool, json, false, "print one JSON object");

namespace atelier {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kThroughputBatch = 32;

std::vector<uint8_t> Pixels(const models::Predictor& predictor, int64_t images) {
  std::vector<uint8_t> pixels(static_cast<size_t>(images * predictor.input_shape().size()));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(37 * i);
  return pixels;
}

// Images classified in about `seconds`, and the time that really took.
struct Measured {
  int64_t images = 0;
  double seconds = 0;
};

Measured Measure(const models::Predictor& predictor, int64_t batch, double seconds) {
  const std::vector<uint8_t> pixels = Pixels(predictor, batch);
  Measured measured;
  const Clock::time_point begin = Clock::now();
  while (measured.seconds < seconds) {
    if (!predictor.Classify(absl::MakeConstSpan(pixels)).ok()) std::abort();
    measured.images += batch;
    measured.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  }
  return measured;
}

double Throughput(const models::Predictor& predictor, int threads, double seconds) {
  std::atomic<int64_t> images = 0;
  std::vector<std::thread> team;
  const Clock::time_point begin = Clock::now();
  for (int i = 0; i < threads; ++i) {
    team.emplace_back([&] { images += Measure(predictor, kThroughputBatch, seconds).images; });
  }
  for (std::thread& thread : team) thread.join();
  return static_cast<double>(images) / std::chrono::duration<double>(Clock::now() - begin).count();
}

int Main() {
  const auto loaded = models::Predictor::Load(absl::GetFlag(FLAGS_model));
  if (!loaded.ok()) {
    std::fprintf(stderr, "engine_bench: %s\n", std::string(loaded.status().message()).c_str());
    return 1;
  }
  const models::Predictor& predictor = **loaded;
  const double seconds = absl::GetFlag(FLAGS_seconds);
  const int asked = absl::GetFlag(FLAGS_threads);
  const int threads =
      asked > 0 ? asked : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  Measure(predictor, kThroughputBatch, seconds / 4);  // Lets the processor settle.
  nlohmann::ordered_json by_batch = nlohmann::ordered_json::object();
  for (const std::string& text : absl::GetFlag(FLAGS_batches)) {
    int64_t batch = 0;
    if (!absl::SimpleAtoi(text, &batch) || batch < 1) {
      std::fprintf(stderr, "engine_bench: '%s' is no batch size\n", text.c_str());
      return 1;
    }
    const Measured measured = Measure(predictor, batch, seconds);
    by_batch[std::to_string(batch)] = measured.seconds * 1e6 / static_cast<double>(measured.images);
  }
  const nlohmann::ordered_json result = {
      {"model", predictor.architecture().network.name()},
      {"weights", std::string(models::PrecisionName(predictor.precision()))},
      {"threads", threads},
      {"images_per_second", Throughput(predictor, threads, 2 * seconds)},
      {"microseconds_per_image", by_batch}};
  if (absl::GetFlag(FLAGS_json)) {
    std::printf("%s\n", result.dump().c_str());
    return 0;
  }
  std::printf("%s, weights in %s, one thread:\n", predictor.architecture().network.name().c_str(),
              result["weights"].get<std::string>().c_str());
  for (const auto& [batch, time] : by_batch.items()) {
    std::printf("  batch %3s: %8.1f µs an image\n", batch.c_str(), time.get<double>());
  }
  std::printf("%d threads, batch %lld: %.0f images/s\n", threads,
              static_cast<long long>(kThroughputBatch), result["images_per_second"].get<double>());
  return 0;
}

}  // namespace
}  // namespace atelier

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("measures how fast a model classifies: --model=model.tar.gz");
  absl::ParseCommandLine(argc, argv);
  return atelier::Main();
}
