#include "server/metrics/job_series.h"

#include "google/protobuf/timestamp.pb.h"
#include "server/metrics/samples.h"

namespace atelier::metrics {
namespace {

double Seconds(const google::protobuf::Timestamp& time) {
  return static_cast<double>(time.seconds()) + static_cast<double>(time.nanos()) * 1e-9;
}

}  // namespace

void JobSeries::BeginAttempt(const jobs::JobRecord& record) {
  const v1::Attempt& attempt = record.job.attempts(record.attempt() - 1);
  cores_ = attempt.cores();
  memory_limit_bytes_ = static_cast<double>(record.job.spec().memory_bytes());
  epochs_ = record.job.spec().epochs();
  last_checkpoint_ = Seconds(attempt.start_time());
  progress_.reset();
  resources_.reset();
}

void JobSeries::Apply(const v1::JobEvent& event) {
  switch (event.event_case()) {
    case v1::JobEvent::kStep:
      progress_ = event.step();
      break;
    case v1::JobEvent::kEpoch:
      epoch_ = event.epoch();
      break;
    case v1::JobEvent::kResources:
      resources_ = event.resources();
      break;
    case v1::JobEvent::kCheckpoint:
      last_checkpoint_ = Seconds(event.time());
      break;
    case v1::JobEvent::kRewound:
      if (epoch_.has_value() && epoch_->epoch() > event.rewound().epoch()) epoch_.reset();
      break;
    default:
      break;
  }
}

std::vector<prometheus::MetricFamily> CollectJobs(
    const std::vector<std::pair<std::string, const JobSeries*>>& jobs) {
  std::vector<prometheus::MetricFamily> families;
  const auto collect = [&](Samples samples, auto value) {
    for (const auto& [id, job] : jobs) samples.Add(value(*job), {{"job", id}});
    std::move(samples).MoveTo(&families);
  };
  // A field of the newest message of a kind, if there was one.
  const auto field = [](auto message, auto get) {
    return [=](const JobSeries& job) -> std::optional<double> {
      if (!(job.*message).has_value()) return std::nullopt;
      return static_cast<double>(((*(job.*message)).*get)());
    };
  };
  const auto resource = [&](auto get) { return field(&JobSeries::resources_, get); };
  const auto progress = [&](auto get) { return field(&JobSeries::progress_, get); };
  const auto epoch = [&](auto get) { return field(&JobSeries::epoch_, get); };
  using Counter = Samples (*)(std::string, std::string);
  const Counter counter = &Samples::Counter;
  const Counter gauge = &Samples::Gauge;
  using v1::EpochMetrics, v1::Progress, v1::ResourceSample;

  collect(counter("atelier_job_cpu_seconds_total", "Processor time of the job's worker process."),
          resource(&ResourceSample::cpu_seconds));
  collect(gauge("atelier_job_cpu_utilization_cores", "Cores busy over the last second."),
          resource(&ResourceSample::cpu_utilization));
  collect(gauge("atelier_job_cores", "Cores the job was given."),
          [](const JobSeries& job) { return job.cores_; });
  collect(gauge("atelier_job_resident_memory_bytes", "Resident memory of the worker process."),
          resource(&ResourceSample::resident_bytes));
  collect(gauge("atelier_job_memory_limit_bytes", "Memory the job may use."),
          [](const JobSeries& job) { return job.memory_limit_bytes_; });
  collect(counter("atelier_job_read_bytes_total", "Bytes read from storage."),
          resource(&ResourceSample::read_bytes));
  collect(counter("atelier_job_written_bytes_total", "Bytes written to storage."),
          resource(&ResourceSample::written_bytes));
  collect(counter("atelier_job_sent_bytes_total", "Bytes sent to the server."),
          resource(&ResourceSample::sent_bytes));
  collect(counter("atelier_job_received_bytes_total", "Bytes received from the server."),
          resource(&ResourceSample::received_bytes));
  collect(gauge("atelier_job_images_per_second", "Training speed."),
          progress(&Progress::images_per_second));
  collect(gauge("atelier_job_epoch", "Epoch being trained, from 1."), progress(&Progress::epoch));
  collect(gauge("atelier_job_epochs", "Epochs at most."),
          [](const JobSeries& job) { return job.epochs_; });
  collect(gauge("atelier_job_training_loss", "Mean training loss of the epoch so far."),
          progress(&Progress::training_loss));
  collect(gauge("atelier_job_training_accuracy_ratio", "Training accuracy of the epoch so far."),
          progress(&Progress::training_accuracy));
  collect(gauge("atelier_job_validation_loss", "Validation loss of the last finished epoch."),
          epoch(&EpochMetrics::validation_loss));
  collect(gauge("atelier_job_validation_accuracy_ratio",
                "Validation accuracy of the last finished epoch."),
          epoch(&EpochMetrics::validation_accuracy));
  collect(gauge("atelier_job_last_checkpoint_timestamp_seconds",
                "Time of the last durable checkpoint, Unix time; the attempt's start before it."),
          [](const JobSeries& job) { return job.last_checkpoint_; });
  return families;
}

}  // namespace atelier::metrics
