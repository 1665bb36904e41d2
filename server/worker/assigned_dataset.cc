#include "server/worker/assigned_dataset.h"

#include <string>

#include "models/base/failure.h"
#include "models/data/dataset_cache.h"
#include "models/data/dataset_file.h"
#include "spdlog/spdlog.h"

namespace atelier::worker {
namespace {

// Of a pushed data set the packed file, which needs no cache.
absl::StatusOr<models::DatasetCache::Loaded> Load(const v1::Assignment& assignment,
                                                  const models::StopSignal* stop) {
  if (assignment.dataset_file().empty()) {
    return models::DatasetCache({assignment.dataset_cache_dir()})
        .Load(assignment.dataset_dir(), stop);
  }
  const auto file = models::DatasetFile::Open(assignment.dataset_file());
  if (!file.ok()) return models::Failure(models::FailureReason::kBadData, file.status().message());
  auto dataset = file->Map();
  if (!dataset.ok()) {
    return models::Failure(models::FailureReason::kBadData, dataset.status().message());
  }
  return models::DatasetCache::Loaded{*std::move(dataset), true, absl::OkStatus()};
}

void ReportDataset(const models::DatasetCache::Loaded& loaded) {
  if (!loaded.problem.ok()) {
    spdlog::warn("the data set's cache: {}", std::string(loaded.problem.message()));
  }
  spdlog::info("data set of {} training images, {}", loaded.dataset->training().size(),
               loaded.from_cache ? "from the cache" : "read from its files");
  for (const std::string& warning : loaded.dataset->warnings()) spdlog::warn("{}", warning);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const models::Dataset>> LoadDataset(const v1::Assignment& assignment,
                                                                   const models::StopSignal* stop) {
  auto loaded = Load(assignment, stop);
  if (!loaded.ok()) return loaded.status();
  ReportDataset(*loaded);
  return loaded->dataset;
}

v1::WorkerEvent PhaseEvent(v1::Phase phase) {
  spdlog::info("phase {}", v1::Phase_Name(phase).substr(6));
  v1::WorkerEvent event;
  event.set_phase(phase);
  return event;
}

}  // namespace atelier::worker
