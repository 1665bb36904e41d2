// `atelier bench classify`: measures a server's throughput and latency.
#include <algorithm>
#include <memory>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/calls/arguments.h"
#include "client/calls/dataset_images.h"
#include "client/calls/resource_kind.h"
#include "client/commands/commands.h"
#include "client/comparing/targets.h"
#include "client/load/load_generator.h"
#include "client/load/load_report.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/terminal/interrupt.h"
#include "client/terminal/progress_bar.h"

namespace atelier::client {
namespace {

constexpr int kCallers = 64;
constexpr int kMostInFlight = 1000;
// Requests differ, so that caches cannot help.
constexpr std::size_t kRequests = 16;
constexpr std::size_t kRequestBytes = std::size_t{32} << 20;
constexpr std::size_t kMostTestImages = 1000;

struct BenchOptions {
  std::string model;
  std::string dataset;
  int images = 1;
  double rate = 0;
  int concurrency = 0;
  int max_in_flight = 0;
  int connections = 4;
  absl::Duration duration = absl::Seconds(10);
  absl::Duration warmup = absl::Seconds(2);
  absl::Duration deadline = absl::Seconds(10);
};

absl::StatusOr<LoadOptions> ToLoadOptions(const BenchOptions& options) {
  const bool open = options.rate > 0;
  if (open && options.concurrency > 0) {
    return absl::InvalidArgumentError(
        "--rate (open loop) and --concurrency (closed loop) cannot be combined; --max-in-flight "
        "limits the requests in flight with --rate.");
  }
  if (!open && options.max_in_flight > 0) {
    return absl::InvalidArgumentError("--max-in-flight needs --rate.");
  }
  LoadOptions load;
  load.rate = options.rate;
  load.concurrency = open                      ? options.max_in_flight
                     : options.concurrency > 0 ? options.concurrency
                                               : kCallers;
  if (load.concurrency == 0) load.concurrency = kMostInFlight;
  load.duration = options.duration;
  load.warmup = options.warmup;
  load.deadline = options.deadline;
  return load;
}

// Random pixels of `count` images.
std::vector<std::string> InventImages(std::size_t count, std::size_t size) {
  std::mt19937 random;
  std::vector<std::string> images(count, std::string(size, '\0'));
  for (std::string& image : images) {
    std::generate(image.begin(), image.end(), [&] { return static_cast<char>(random()); });
  }
  return images;
}

// `count` images of a test set, or as many as it has.
absl::StatusOr<std::vector<std::string>> FetchImages(Session& session, const std::string& dataset,
                                                     std::size_t count) {
  const auto name = DatasetName(dataset);
  if (!name.ok()) return name.status();
  v1::GetDatasetRequest ask;
  ask.set_name(*name);
  const auto known = session.Call(&DatasetService::GetDataset, ask);
  if (!known.ok()) return known.status();
  v1::GetImagesRequest request;
  request.set_name(*name);
  request.set_split(v1::DATASET_SPLIT_TEST);
  const auto available = std::min<std::int64_t>(known->test_images(), kMostTestImages);
  for (std::int64_t i = 0; i < std::min(available, static_cast<std::int64_t>(count)); ++i) {
    request.add_indices(i);
  }
  auto answer = GetImages(session, request);
  if (!answer.ok()) return answer.status();
  std::vector<std::string> images;
  for (v1::LabeledImage& image : *answer->mutable_images()) {
    images.push_back(std::move(*image.mutable_data()));
  }
  return images;
}

absl::StatusOr<std::vector<v1::ClassifyRequest>> MakeRequests(Session& session,
                                                              const BenchOptions& options,
                                                              const ModelReference& model) {
  const auto version = GetVersion(session, model);
  if (!version.ok()) return version.status();
  const v1::ImageShape& shape = version->image_shape();
  const auto size =
      static_cast<std::size_t>(std::int64_t{shape.channels()} * shape.height() * shape.width());
  const auto batch = static_cast<std::size_t>(options.images);
  const std::size_t most = kRequestBytes / std::max(std::size_t{1}, batch * size);
  const std::size_t count = std::clamp(most, std::size_t{1}, kRequests);
  std::vector<std::string> images;
  if (options.dataset.empty()) {
    images = InventImages(std::min(count * batch, kMostTestImages), size);
  } else {
    auto fetched = FetchImages(session, options.dataset, count * batch);
    if (!fetched.ok()) return fetched.status();
    images = *std::move(fetched);
  }
  std::vector<v1::ClassifyRequest> requests(count);
  std::size_t next = 0;
  for (v1::ClassifyRequest& request : requests) {
    request.set_model(model.ResourceName());
    for (std::size_t i = 0; i < batch; ++i) {
      request.mutable_raw()->mutable_pixels()->append(images[next++ % images.size()]);
    }
  }
  return requests;
}

std::string ProgressWords(const LoadProgress& progress) {
  if (progress.warming_up) return "warming up";
  return absl::StrFormat("%s requests/s  p99 %.1f ms",
                         Count(static_cast<std::int64_t>(progress.requests_per_second)),
                         absl::ToDoubleMilliseconds(progress.p99));
}

absl::StatusOr<int> Report(Session& session, const LoadReport& report, bool interrupted) {
  const LoadResult& result = report.result;
  if (result.measured <= absl::ZeroDuration()) {
    return absl::CancelledError("Nothing was measured: the warm-up had not finished.");
  }
  switch (session.format()) {
    case OutputFormat::kText:
      session.Print(LoadText(report, session.style(), session.terminal().width()));
      break;
    case OutputFormat::kJson:
      session.Print(LoadJson(report));
      break;
    case OutputFormat::kCsv:
      session.Print(LoadCsv(report));
      break;
  }
  if (interrupted) return kInterrupted;
  return result.answered > 0 ? kDone : kError;
}

absl::StatusOr<int> BenchClassify(Session& session, const BenchOptions& options) {
  const auto load = ToLoadOptions(options);
  if (!load.ok()) return load.status();
  const auto model = ModelOf(session, options.model);
  if (!model.ok()) return model.status();
  auto requests = MakeRequests(session, options, *model);
  if (!requests.ok()) return requests.status();
  // Finds errors before the measurement, and loads the version.
  const auto first = session.Call(&InferenceService::Classify, requests->front());
  if (!first.ok()) return first.status();
  std::vector<std::unique_ptr<Connection>> owned;
  std::vector<Connection*> connections;
  for (int i = 0; i < std::min(options.connections, load->concurrency); ++i) {
    auto connection = session.Reconnect();
    if (!connection.ok()) return connection.status();
    connections.push_back(owned.emplace_back(*std::move(connection)).get());
  }
  const Interrupt interrupt;
  ProgressBar bar(session.terminal(), session.text());
  LoadGenerator generator(connections, *std::move(requests), *load);
  LoadReport report{
      .model = model->ResourceName(),
      .images = options.images,
      .options = *load,
      .result = generator.Run({.interrupted = [&session] { return session.interrupted(); },
                               .progress =
                                   [&bar](const LoadProgress& progress) {
                                     bar.Show(progress.fraction, ProgressWords(progress));
                                   }})};
  bar.Clear();
  return Report(session, report, session.interrupted());
}

void AddLoadOptions(CLI::App* command, BenchOptions* options) {
  command
      ->add_option("--concurrency", options->concurrency,
                   "Closed loop: number of concurrent callers [64]")
      ->type_name("N")
      ->check(Between(1, 10'000));
  command->add_option("--rate", options->rate, "Open loop: requests per second")
      ->type_name("R")
      ->check(Between(0.001, 1e6));
  command
      ->add_option("--max-in-flight", options->max_in_flight,
                   "With --rate: maximum in flight [1000]")
      ->type_name("N")
      ->check(Between(1, 100'000));
  command->add_option("--images", options->images, "Images per request [1]")
      ->type_name("N")
      ->check(Between(1, 4096));
  AddDurationOption(command, "--duration", &options->duration, "Time to measure [10s]",
                    {absl::Milliseconds(100), absl::Hours(24)});
  AddDurationOption(command, "--warmup", &options->warmup, "Load before the measurement [2s]",
                    {absl::ZeroDuration(), absl::Hours(1)});
  AddDurationOption(command, "--deadline", &options->deadline, "Deadline of each request [10s]",
                    {absl::Milliseconds(1), absl::Hours(1)});
  command->add_option("--connections", options->connections, "Number of connections [4]")
      ->type_name("N")
      ->check(Between(1, 256));
}

}  // namespace

void AddBench(CommandSet* commands) {
  const auto options = std::make_shared<BenchOptions>();
  CLI::App* const family = commands->AddFamily("bench", "Measure the server's performance");
  CLI::App* const command = commands->Add(
      {"classify",
       "Measure throughput and latency of a model",
       "Callers wait for each response before they send again (--concurrency), or requests\n"
       "arrive at a rate (--rate); their latency then counts from when each was due. The server\n"
       "reports queue and compute time; the rest is gRPC and network. Ctrl-C prints the results\n"
       "so far.",
       {{"atelier bench classify cnn-3", "64 callers, 10 seconds"},
        {"atelier bench classify cnn-3 --rate=2000", "2,000 requests per second"},
        {"atelier bench classify cnn-3@production --images=32 --concurrency=4", ""}}},
      [options](Session& session) {
        return ExplainKind(session, options->model, {Kind::kModel},
                           BenchClassify(session, *options));
      },
      family);
  AddModelArgument(command, &options->model);
  AddLoadOptions(command, options.get());
  command->add_option("--dataset", options->dataset, "Send its test images [random pixels]")
      ->type_name("NAME");
}

}  // namespace atelier::client
