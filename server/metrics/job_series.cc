#include "server/metrics/job_series.h"

#include "server/jobs/job_kind.h"
#include "server/jobs/timestamps.h"
#include "server/metrics/samples.h"

namespace atelier::metrics {

void JobSeries::BeginAttempt(const jobs::JobRecord& record) {
  const v1::Attempt& attempt = record.job.attempts(record.attempt() - 1);
  // The process that reports is that of one node.
  cores_ = attempt.cores() / jobs::NodesOf(record.job.spec());
  kind_ = KindOf(record.job);
  memory_limit_bytes_ = static_cast<double>(jobs::NeedsOfNode(record.job).memory_bytes);
  epochs_ = record.job.spec().epochs();
  last_checkpoint_ = jobs::UnixSeconds(attempt.start_time());
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
      last_checkpoint_ = jobs::UnixSeconds(event.time());
      break;
    case v1::JobEvent::kRewound:
      if (epoch_.has_value() && epoch_->epoch() > event.rewound().epoch()) epoch_.reset();
      break;
    default:
      break;
  }
}

// Makes the families of all jobs, a sample for each job that has the value.
class JobSeries::Collector {
 public:
  explicit Collector(const std::vector<std::pair<std::string, const JobSeries*>>& jobs)
      : jobs_(jobs) {}

  std::vector<prometheus::MetricFamily> Run() && {
    CollectResources();
    CollectTraining();
    return std::move(families_);
  }

 private:
  using ResourceSample = v1::ResourceSample;
  using Progress = v1::Progress;
  using EpochMetrics = v1::EpochMetrics;

  template <typename Value>
  void Collect(Samples samples, Value value) {
    for (const auto& [id, job] : jobs_) samples.Add(value(*job), {{"job", id}});
    std::move(samples).MoveTo(&families_);
  }

  // A field of the newest message of a kind, if there was one.
  template <typename Message, typename Get>
  static auto Of(std::optional<Message> JobSeries::*message, Get get) {
    return [=](const JobSeries& job) -> std::optional<double> {
      if (!(job.*message).has_value()) return std::nullopt;
      return static_cast<double>(((*(job.*message)).*get)());
    };
  }
  template <typename Get>
  static auto OfResources(Get get) {
    return Of(&JobSeries::resources_, get);
  }
  template <typename Get>
  static auto OfProgress(Get get) {
    return Of(&JobSeries::progress_, get);
  }
  // Of the progress of jobs of these kinds.
  template <JobKind... kinds, typename Get>
  static auto OfKinds(Get get) {
    return [value = OfProgress(get)](const JobSeries& job) -> std::optional<double> {
      return ((job.kind_ == kinds) || ...) ? value(job) : std::nullopt;
    };
  }
  template <typename Get>
  static auto OfTraining(Get get) {
    return OfKinds<JobKind::kTraining>(get);
  }
  template <typename Get>
  static auto OfImport(Get get) {
    return OfKinds<JobKind::kImport>(get);
  }
  template <typename Get>
  static auto OfScoring(Get get) {
    return OfKinds<JobKind::kEvaluation, JobKind::kCheck>(get);
  }
  template <typename Get>
  static auto OfEpoch(Get get) {
    return Of(&JobSeries::epoch_, get);
  }

  void CollectResources();
  void CollectTraining();

  const std::vector<std::pair<std::string, const JobSeries*>>& jobs_;
  std::vector<prometheus::MetricFamily> families_;
};

void JobSeries::Collector::CollectResources() {
  Collect(Samples::Counter("atelier_job_cpu_seconds_total",
                           "Processor time of the job's worker process."),
          OfResources(&ResourceSample::cpu_seconds));
  Collect(Samples::Gauge("atelier_job_cpu_utilization_cores", "Cores busy over the last second."),
          OfResources(&ResourceSample::cpu_utilization));
  Collect(Samples::Gauge("atelier_job_cores", "Cores the worker process was given."),
          [](const JobSeries& job) { return job.cores_; });
  Collect(
      Samples::Gauge("atelier_job_resident_memory_bytes", "Resident memory of the worker process."),
      OfResources(&ResourceSample::resident_bytes));
  Collect(Samples::Gauge("atelier_job_memory_limit_bytes", "Memory the worker process may use."),
          [](const JobSeries& job) { return job.memory_limit_bytes_; });
  Collect(Samples::Counter("atelier_job_read_bytes_total", "Bytes read from storage."),
          OfResources(&ResourceSample::read_bytes));
  Collect(Samples::Counter("atelier_job_written_bytes_total", "Bytes written to storage."),
          OfResources(&ResourceSample::written_bytes));
  Collect(Samples::Counter("atelier_job_sent_bytes_total", "Bytes sent to the server."),
          OfResources(&ResourceSample::sent_bytes));
  Collect(Samples::Counter("atelier_job_received_bytes_total", "Bytes received from the server."),
          OfResources(&ResourceSample::received_bytes));
}

void JobSeries::Collector::CollectTraining() {
  Collect(Samples::Gauge("atelier_job_images_per_second", "Speed of the job."),
          OfProgress(&Progress::images_per_second));
  Collect(Samples::Gauge("atelier_job_imported_images", "Images imported so far."),
          OfImport(&Progress::images));
  Collect(Samples::Gauge("atelier_job_scored_images", "Images evaluated or checked so far."),
          OfScoring(&Progress::images));
  Collect(Samples::Gauge("atelier_job_epoch", "Epoch being trained, from 1."),
          OfTraining(&Progress::epoch));
  Collect(Samples::Gauge("atelier_job_epochs", "Epochs at most."),
          [](const JobSeries& job) -> std::optional<double> {
            if (job.kind_ != JobKind::kTraining) return std::nullopt;
            return job.epochs_;
          });
  Collect(Samples::Gauge("atelier_job_training_loss", "Mean training loss of the epoch so far."),
          OfTraining(&Progress::training_loss));
  Collect(Samples::Gauge("atelier_job_training_accuracy_ratio",
                         "Training accuracy of the epoch so far."),
          OfTraining(&Progress::training_accuracy));
  Collect(
      Samples::Gauge("atelier_job_validation_loss", "Validation loss of the last finished epoch."),
      OfEpoch(&EpochMetrics::validation_loss));
  Collect(Samples::Gauge("atelier_job_validation_accuracy_ratio",
                         "Validation accuracy of the last finished epoch."),
          OfEpoch(&EpochMetrics::validation_accuracy));
  Collect(Samples::Gauge(
              "atelier_job_last_checkpoint_timestamp_seconds",
              "Time of the last durable checkpoint, Unix time; the attempt's start before it."),
          [](const JobSeries& job) -> std::optional<double> {
            if (job.kind_ != JobKind::kTraining) return std::nullopt;
            return job.last_checkpoint_;
          });
}

std::vector<prometheus::MetricFamily> CollectJobs(
    const std::vector<std::pair<std::string, const JobSeries*>>& jobs) {
  return JobSeries::Collector(jobs).Run();
}

}  // namespace atelier::metrics
