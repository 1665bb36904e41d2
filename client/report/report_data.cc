#include "client/report/report_data.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "client/calls/arguments.h"
#include "client/calls/ticking_stream.h"
#include "client/comparing/confusion_text.h"
#include "client/comparing/targets.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"
#include "proto/lifecycle/lifecycle.h"

namespace atelier::client::report {
namespace {

constexpr std::size_t kPairs = 5;
constexpr int kImagesPerPair = 6;
// Of the pictures of the evidence in one job's images, which are then at most 1.5 MiB of the page.
constexpr std::size_t kMaxEvidenceBytes = std::size_t{256} << 10;
// A job that still runs is followed until it has been silent for so long.
constexpr absl::Duration kSilence = absl::Milliseconds(300);

// What a job's events tell, up to now.
struct Told {
  std::vector<v1::EpochMetrics> epochs;
  std::vector<Measured> resources;
};

void Take(const v1::JobEvent& event, absl::Time* first, std::vector<std::int64_t>* numbers,
          Told* told) {
  if (*first == absl::InfiniteFuture()) *first = ToTime(event.time());
  if (event.has_epoch()) {
    told->epochs.push_back(event.epoch());
    numbers->push_back(event.number());
  } else if (event.has_resources()) {
    told->resources.push_back(
        {absl::ToDoubleSeconds(ToTime(event.time()) - *first), event.resources()});
  } else if (event.has_rewound()) {
    while (!numbers->empty() && numbers->back() >= event.rewound().first_withdrawn()) {
      numbers->pop_back();
      told->epochs.pop_back();
    }
  }
}

absl::StatusOr<Told> ReadEvents(Session& session, const v1::TrainingJob& job, bool epochs_only) {
  auto connection = session.Connect();
  if (!connection.ok()) return connection.status();
  v1::StreamMetricsRequest request;
  request.set_name(job.name());
  request.set_epochs_only(epochs_only);
  const bool ended = HasEnded(job.state());
  absl::Time heard = absl::Now();
  bool cut = false;
  TickingStream<v1::JobEvent> stream(
      [&](grpc::ClientContext* context, grpc::CompletionQueue* queue) {
        return (*connection)
            ->stub<TrainingService>()
            .PrepareAsyncStreamMetrics(context, request, queue);
      },
      {.tick = [&] {
        cut = cut || session.interrupted() || (!ended && absl::Now() - heard > kSilence);
        return cut;
      }});
  Told told;
  absl::Time first = absl::InfiniteFuture();
  std::vector<std::int64_t> numbers;
  const absl::Time begin = absl::Now();
  v1::JobEvent event;
  while (stream.Read(&event)) {
    Take(event, &first, &numbers, &told);
    heard = absl::Now();
    // One that never falls silent is not waited for either.
    if (!ended && heard - begin > 5 * kSilence) {
      cut = true;
      stream.Cancel();
    }
  }
  const grpc::Status status = stream.Finish();
  if (session.interrupted()) return absl::CancelledError("Interrupted; no report was written.");
  if (!status.ok() && !cut) return ToStatus(status, (*connection)->address());
  return told;
}

// True if the answer is missing for a reason that the page tells anyway: not evaluated, or deleted
// a moment ago.
bool MayBeMissing(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsNotFound(status) ||
         absl::IsInvalidArgument(status);
}

std::vector<ConfusedPair> WorstPairs(const v1::ConfusionMatrix& matrix) {
  std::vector<ConfusedPair> pairs;
  for (const Confusion& worst : WorstConfusions(matrix)) {
    if (pairs.size() == kPairs) break;
    pairs.push_back({worst.true_class, worst.predicted_class, worst.count, {}});
  }
  return pairs;
}

absl::Status GatherImages(Session& session, const v1::TrainingJob& job, ConfusedPair* pair) {
  v1::GetPredictionsRequest request;
  request.set_name(job.name());
  request.set_true_class(pair->true_class);
  request.set_predicted_class(pair->predicted_class);
  request.set_wrong_only(true);
  request.set_page_size(kImagesPerPair);
  const auto predictions = session.Call(&TrainingService::GetPredictions, request);
  if (!predictions.ok()) {
    return MayBeMissing(predictions.status()) ? absl::OkStatus() : predictions.status();
  }
  v1::GetImagesRequest wanted;
  wanted.set_name(DatasetName(atelier::DatasetOf(job)).value_or(""));
  wanted.set_split(job.evaluation().split());
  wanted.set_png(true);
  for (const v1::Prediction& prediction : predictions->predictions()) {
    pair->images.push_back({prediction, ""});
    wanted.add_indices(prediction.index());
  }
  if (pair->images.empty()) return absl::OkStatus();
  auto connection = session.Connect();
  if (!connection.ok()) return connection.status();
  // Not through the session, which would make the pictures' bytes readable.
  auto images = (*connection)->Call(&DatasetService::GetImages, wanted);
  if (!images.ok()) return MayBeMissing(images.status()) ? absl::OkStatus() : images.status();
  for (int i = 0; i < images->images_size() && i < static_cast<int>(pair->images.size()); ++i) {
    pair->images[static_cast<std::size_t>(i)].png = images->images(i).data();
  }
  return absl::OkStatus();
}

// Until their pictures take too much room.
absl::Status GatherEvidence(Session& session, CloseLook* look) {
  const std::string& version = look->job.has_evaluation() ? look->job.evaluation().model_version()
                                                          : look->job.result().model_version();
  std::size_t bytes = 0;
  // What a network can be explained by is known once one image was.
  auto method = v1::EXPLANATION_METHOD_UNSPECIFIED;
  for (ConfusedPair& pair : look->pairs) {
    const auto& names = look->confusion->class_names();
    if (pair.predicted_class >= names.size()) continue;
    const std::string& name = names.Get(pair.predicted_class);
    for (WrongImage& image : pair.images) {
      if (image.png.empty()) continue;
      auto evidence = GetEvidence(session, version, image.png, name, method);
      if (!evidence.ok()) return evidence.status();
      if (!evidence->has_value()) return absl::OkStatus();
      method = (*evidence)->method();
      bytes += (*evidence)->png().size();
      if (bytes > kMaxEvidenceBytes) return absl::OkStatus();
      image.evidence = *std::move(evidence);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<CloseLook> LookClosely(Session& session, const v1::TrainingJob& job) {
  CloseLook look;
  look.job = job;
  auto told = ReadEvents(session, job, /*epochs_only=*/false);
  if (!told.ok()) return told.status();
  look.resources = std::move(told->resources);
  v1::GetConfusionMatrixRequest request;
  request.set_name(job.name());
  auto matrix = session.Call(&TrainingService::GetConfusionMatrix, request);
  if (!matrix.ok()) {
    if (!MayBeMissing(matrix.status())) return matrix.status();
    return look;
  }
  look.confusion = *std::move(matrix);
  look.pairs = WorstPairs(*look.confusion);
  for (ConfusedPair& pair : look.pairs) {
    if (const auto status = GatherImages(session, job, &pair); !status.ok()) return status;
  }
  if (const auto status = GatherEvidence(session, &look); !status.ok()) return status;
  return look;
}

// The trial that speaks for a configuration: the best of those with a result, else the first that
// is a job.
const Trial* Speaker(const Configuration& configuration) {
  const Trial* speaker = nullptr;
  for (const Trial& trial : configuration.trials) {
    if (trial.job.empty() || trial.state == v1::RUN_STATE_DELETED) continue;
    const auto loss = [](const Trial& of) {
      return of.result.has_value() ? of.result->validation_loss() : HUGE_VAL;
    };
    if (speaker == nullptr || loss(trial) < loss(*speaker)) speaker = &trial;
  }
  return speaker;
}

std::vector<const Trial*> Speakers(const Comparison& comparison) {
  std::vector<const Trial*> speakers;
  for (const Configuration& configuration : comparison.configurations) {
    if (const Trial* speaker = Speaker(configuration)) speakers.push_back(speaker);
  }
  const auto accuracy = [](const Trial* trial) {
    return trial->result.has_value() ? trial->result->validation_accuracy() : -1;
  };
  std::stable_sort(speakers.begin(), speakers.end(),
                   [&](const Trial* a, const Trial* b) { return accuracy(a) > accuracy(b); });
  if (speakers.size() > kMaxCloseLooks) speakers.resize(kMaxCloseLooks);
  return speakers;
}

// Jobs of the trials, and their epochs; a job that was deleted meanwhile becomes so.
absl::Status GatherJobs(Session& session, std::vector<Trial>* trials, ReportData* data) {
  for (Trial& trial : *trials) {
    if (trial.job.empty() || trial.state == v1::RUN_STATE_DELETED) continue;
    v1::GetJobRequest request;
    request.set_name(trial.job);
    auto job = session.Call(&TrainingService::GetJob, request);
    if (absl::IsNotFound(job.status())) {
      trial.state = v1::RUN_STATE_DELETED;
      trial.result.reset();
      continue;
    }
    if (!job.ok()) return job.status();
    auto told = ReadEvents(session, *job, /*epochs_only=*/true);
    if (!told.ok()) return told.status();
    data->epochs[trial.job] = std::move(told->epochs);
    data->jobs[trial.job] = *std::move(job);
  }
  return absl::OkStatus();
}

std::map<std::string, std::string> ServerVersions(Session& session) {
  v1::GetMetricsRequest request;
  request.add_names("atelier_build_info");
  const auto metrics = session.Call(&MonitoringService::GetMetrics, request);
  if (!metrics.ok() || metrics->samples().empty()) return {};
  const auto& labels = metrics->samples(0).labels();
  return {labels.begin(), labels.end()};
}

}  // namespace

absl::StatusOr<ReportData> GatherReport(Session& session, const std::vector<std::string>& names) {
  auto named = GetNamed(session, names, Nameable::kEvaluationsToo);
  if (!named.ok()) return named.status();
  ReportData data;
  data.made = absl::Now();
  data.client_version = ATELIER_VERSION;
  data.server_versions = ServerVersions(session);
  data.title = absl::StrJoin(names, ", ", [](std::string* out, const std::string& name) {
    absl::StrAppend(out, Leaf(name));
  });
  if (names.size() > 3) {
    data.title = absl::StrCat(names.size(), named->evaluations.empty() ? " trainings" : " jobs");
  }
  if (const auto status = GatherJobs(session, &named->trials, &data); !status.ok()) return status;
  data.experiments = std::move(named->experiments);
  data.comparison = Compare(std::move(named->trials));
  for (const Trial* speaker : Speakers(data.comparison)) {
    const auto job = data.jobs.find(speaker->job);
    if (job == data.jobs.end()) continue;
    auto look = LookClosely(session, job->second);
    if (!look.ok()) return look.status();
    data.close_looks.push_back(*std::move(look));
  }
  for (const v1::TrainingJob& evaluation : named->evaluations) {
    auto look = LookClosely(session, evaluation);
    if (!look.ok()) return look.status();
    data.evaluations.push_back(*std::move(look));
  }
  std::vector<v1::TrainingJob> looked_at;
  for (const CloseLook& look : data.close_looks) looked_at.push_back(look.job);
  auto pictures = GatherModelPictures(session, looked_at);
  if (!pictures.ok()) return pictures.status();
  data.pictures = *std::move(pictures);
  auto networks = GatherNetworks(session, data.comparison);
  if (!networks.ok()) return networks.status();
  data.networks = *std::move(networks);
  return data;
}

}  // namespace atelier::client::report
