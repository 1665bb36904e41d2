#include "server/metrics/version_metrics.h"

#include <algorithm>
#include <utility>

namespace atelier::metrics {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::Histogram;
using serving::DispatchReason;

// Each has one at 0.1 s, where the latency objective stands.
const Histogram::BucketBoundaries kRequestBuckets = {0.0005, 0.001, 0.0025, 0.005, 0.01,
                                                     0.025,  0.05,  0.1,    0.25,  1};
const Histogram::BucketBoundaries kPartBuckets = {0.0002, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.5};
const Histogram::BucketBoundaries kBatchBuckets = {1, 2, 4, 8, 16, 32, 64};

// Of what a classification ends with by itself: there at zero, so that the first is an increase.
constexpr absl::StatusCode kCountedFromTheStart[] = {
    absl::StatusCode::kOk, absl::StatusCode::kDeadlineExceeded,
    absl::StatusCode::kResourceExhausted, absl::StatusCode::kInternal,
    absl::StatusCode::kUnavailable};

const char* ReasonWord(DispatchReason reason) {
  switch (reason) {
    case DispatchReason::kFull:
      return "full";
    case DispatchReason::kIdle:
      return "idle";
    case DispatchReason::kDelay:
      return "delay";
  }
  return "idle";
}

double Seconds(absl::Duration duration) {
  return absl::ToDoubleSeconds(std::max(duration, absl::ZeroDuration()));
}

prometheus::Labels With(prometheus::Labels labels, const std::string& name, std::string value) {
  labels[name] = std::move(value);
  return labels;
}

}  // namespace

ServingFamilies::ServingFamilies(prometheus::Registry* registry)
    : requests(BuildCounter()
                   .Name("atelier_inference_requests_total")
                   .Help("Answered requests by gRPC code.")
                   .Register(*registry)),
      images(BuildCounter()
                 .Name("atelier_inference_images_total")
                 .Help("Images classified.")
                 .Register(*registry)),
      request_duration(BuildHistogram()
                           .Name("atelier_inference_request_duration_seconds")
                           .Help("From arrival to answer.")
                           .Register(*registry)),
      queue_duration(BuildHistogram()
                         .Name("atelier_inference_queue_duration_seconds")
                         .Help("Waiting for an engine.")
                         .Register(*registry)),
      compute_duration(BuildHistogram()
                           .Name("atelier_inference_compute_duration_seconds")
                           .Help("Decoding and computing.")
                           .Register(*registry)),
      batch_size(BuildHistogram()
                     .Name("atelier_inference_batch_size")
                     .Help("Images computed at once.")
                     .Register(*registry)),
      dispatches(BuildCounter()
                     .Name("atelier_inference_dispatches_total")
                     .Help("Batches by the reason for which they were computed when they were.")
                     .Register(*registry)),
      in_flight(BuildGauge()
                    .Name("atelier_inference_in_flight")
                    .Help("Requests being worked on or waiting.")
                    .Register(*registry)),
      queue_length(BuildGauge()
                       .Name("atelier_inference_queue_length")
                       .Help("Images waiting for an engine.")
                       .Register(*registry)),
      load_duration(BuildGauge()
                        .Name("atelier_model_load_duration_seconds")
                        .Help("Time that loading and warming took.")
                        .Register(*registry)),
      memory(BuildGauge()
                 .Name("atelier_model_memory_bytes")
                 .Help("Memory of the loaded version's weights.")
                 .Register(*registry)) {}

VersionCounts::VersionCounts(ServingFamilies* families, prometheus::Labels labels)
    : families_(families),
      labels_(std::move(labels)),
      images_(&families->images.Add(labels_)),
      request_duration_(&families->request_duration.Add(labels_, kRequestBuckets)),
      queue_duration_(&families->queue_duration.Add(labels_, kPartBuckets)),
      compute_duration_(&families->compute_duration.Add(labels_, kPartBuckets)),
      batch_size_(&families->batch_size.Add(labels_, kBatchBuckets)) {
  for (const auto reason : {DispatchReason::kFull, DispatchReason::kIdle, DispatchReason::kDelay}) {
    dispatches_[static_cast<std::size_t>(reason)] =
        &families->dispatches.Add(With(labels_, "reason", ReasonWord(reason)));
  }
  for (const absl::StatusCode code : kCountedFromTheStart) RequestsOf(code);
}

VersionCounts::~VersionCounts() {
  families_->images.Remove(images_);
  families_->request_duration.Remove(request_duration_);
  families_->queue_duration.Remove(queue_duration_);
  families_->compute_duration.Remove(compute_duration_);
  families_->batch_size.Remove(batch_size_);
  for (prometheus::Counter* counter : dispatches_) families_->dispatches.Remove(counter);
  for (prometheus::Counter* counter : requests_) {
    if (counter != nullptr) families_->requests.Remove(counter);
  }
}

prometheus::Counter* VersionCounts::RequestsOf(absl::StatusCode code) {
  auto index = static_cast<std::size_t>(code);
  if (index >= kCodes) index = static_cast<std::size_t>(absl::StatusCode::kUnknown);
  absl::call_once(code_seen_[index], [&] {
    const std::string word = absl::StatusCodeToString(static_cast<absl::StatusCode>(index));
    requests_[index] = &families_->requests.Add(With(labels_, "code", word));
  });
  return requests_[index];
}

void VersionCounts::Answered(const serving::RequestReport& report) {
  RequestsOf(report.code)->Increment();
  images_->Increment(static_cast<double>(report.images));
  request_duration_->Observe(Seconds(report.total));
  if (!report.computed) return;
  queue_duration_->Observe(Seconds(report.queue));
  compute_duration_->Observe(Seconds(report.compute));
}

void VersionCounts::Computed(std::int64_t images, serving::DispatchReason reason) {
  batch_size_->Observe(static_cast<double>(images));
  dispatches_[static_cast<std::size_t>(reason)]->Increment();
}

VersionMetrics::VersionMetrics(ServingFamilies* families, const prometheus::Labels& labels,
                               VersionCounts* counts)
    : families_(families),
      labels_(labels),
      counts_(counts),
      in_flight_(&families->in_flight.Add(labels_)),
      queue_length_(&families->queue_length.Add(labels_)) {}

VersionMetrics::~VersionMetrics() {
  families_->in_flight.Remove(in_flight_);
  families_->queue_length.Remove(queue_length_);
  if (load_duration_ != nullptr) families_->load_duration.Remove(load_duration_);
  if (memory_ != nullptr) families_->memory.Remove(memory_);
}

void VersionMetrics::Loaded(absl::Duration duration, std::int64_t memory_bytes) {
  absl::call_once(loaded_, [&] {
    load_duration_ = &families_->load_duration.Add(labels_);
    memory_ = &families_->memory.Add(labels_);
  });
  load_duration_->Set(Seconds(duration));
  memory_->Set(static_cast<double>(memory_bytes));
}

void VersionMetrics::Arrived() { in_flight_->Increment(); }

void VersionMetrics::Answered(const serving::RequestReport& report) {
  in_flight_->Decrement();
  counts_->Answered(report);
}

void VersionMetrics::QueueChanged(std::int64_t images) {
  queue_length_->Increment(static_cast<double>(images));
}

void VersionMetrics::Computed(std::int64_t images, serving::DispatchReason reason) {
  counts_->Computed(images, reason);
}

}  // namespace atelier::metrics
