#include "server/metrics/job_metrics.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "server/jobs/attempt.h"
#include "server/jobs/job_state.h"
#include "server/jobs/timestamps.h"
#include "server/metrics/samples.h"

namespace atelier::metrics {
namespace {

using prometheus::Histogram;

constexpr char kOtherReason[] = "OTHER";

// The changes of state there are: with these reasons each exists from the start.
struct StateReasons {
  v1::JobState state;
  std::vector<const char*> reasons;
};

const std::vector<StateReasons>& KnownTransitions() {
  static const auto* const known = new std::vector<StateReasons>{
      {v1::JOB_STATE_QUEUED,
       {"ACCEPTED", "WORKER_LOST", "SERVER_SHUTDOWN", "SERVER_UNREACHABLE", "PREEMPTED",
        "SUSPENDED"}},
      {v1::JOB_STATE_STARTING, {"SCHEDULED"}},
      {v1::JOB_STATE_PREPARING, {"PREPARING"}},
      {v1::JOB_STATE_TRAINING, {"TRAINING"}},
      {v1::JOB_STATE_EVALUATING, {"EVALUATING"}},
      {v1::JOB_STATE_IMPORTING, {"IMPORTING"}},
      {v1::JOB_STATE_CHECKING, {"CHECKING"}},
      {v1::JOB_STATE_STORING, {"STORING"}},
      {v1::JOB_STATE_STOPPING, {"STOP_REQUESTED"}},
      {v1::JOB_STATE_COMPLETED, {"COMPLETED"}},
      {v1::JOB_STATE_FAILED,
       {"BAD_DATA", "DIVERGED", "OUT_OF_MEMORY", "INVALID_SPEC", "INTERNAL", "WORKER_LOST",
        "REFUSED", "DATASET_SPACE", kOtherReason}},
      {v1::JOB_STATE_STOPPED, {"STOP_REQUESTED"}},
  };
  return *known;
}

const Histogram::BucketBoundaries kQueueWaitBuckets = {0.1, 1,   5,    15,    60,
                                                       300, 900, 3600, 14400, 86400};
const Histogram::BucketBoundaries kDurationBuckets = {5,    15,   60,    300,   900,  1800,
                                                      3600, 7200, 14400, 43200, 86400};

// The state as a label: `queued`.
std::string Word(v1::JobState state) { return absl::AsciiStrToLower(jobs::StateWord(state)); }

// Seconds from `begin` to `end`, both by Elapsed.
double SecondsBetween(absl::Duration begin, absl::Duration end) {
  return absl::ToDoubleSeconds(std::max(end - begin, absl::ZeroDuration()));
}

}  // namespace

JobMetrics::JobMetrics(const Options& options, const Clock* clock, prometheus::Registry* registry)
    : options_(options),
      clock_(clock),
      transitions_(prometheus::BuildCounter()
                       .Name("atelier_job_transitions_total")
                       .Help("Changes of state since the server started.")
                       .Register(*registry)),
      workers_lost_(prometheus::BuildCounter()
                        .Name("atelier_workers_lost_total")
                        .Help("Worker processes lost.")
                        .Register(*registry)
                        .Add({})),
      workers_not_started_(prometheus::BuildCounter()
                               .Name("atelier_workers_not_started_total")
                               .Help("Worker processes that could not be started.")
                               .Register(*registry)
                               .Add({})),
      queue_wait_(prometheus::BuildHistogram()
                      .Name("atelier_queue_wait_seconds")
                      .Help("From being queued to being started.")
                      .Register(*registry)
                      .Add({}, kQueueWaitBuckets)),
      durations_(prometheus::BuildHistogram()
                     .Name("atelier_job_duration_seconds")
                     .Help("From acceptance to the end, by end state.")
                     .Register(*registry)) {
  CreateTransitions();
}

void JobMetrics::CreateTransitions() {
  for (const StateReasons& known : KnownTransitions()) {
    for (const char* reason : known.reasons) {
      transitions_.Add({{"state", Word(known.state)}, {"reason", reason}});
      if (known.state == v1::JOB_STATE_FAILED) failure_reasons_.insert(reason);
    }
    if (jobs::IsTerminal(known.state)) {
      duration_histograms_[known.state] =
          &durations_.Add({{"state", Word(known.state)}}, kDurationBuckets);
    }
  }
}

std::string JobMetrics::ReasonOf(const v1::StateTransition& transition) const {
  // A worker names the reason of its failure, so it might be any.
  const bool known =
      transition.state() != v1::JOB_STATE_FAILED || failure_reasons_.contains(transition.reason());
  return known ? transition.reason() : kOtherReason;
}

void JobMetrics::CountTransition(const std::string& job, const v1::StateTransition& transition) {
  const std::string reason = ReasonOf(transition);
  transitions_.Add({{"state", Word(transition.state())}, {"reason", reason}}).Increment();
  if (transition.state() != v1::JOB_STATE_FAILED) return;
  failures_.push_back({job, reason, jobs::UnixSeconds(transition.time())});
  if (failures_.size() > options_.failures_named) failures_.pop_front();
}

absl::Duration JobMetrics::MomentOf(const google::protobuf::Timestamp& time) const {
  const absl::Duration ago = clock_->Now() - jobs::FromTimestamp(time);
  return clock_->Elapsed() - std::max(ago, absl::ZeroDuration());
}

void JobMetrics::Began(const jobs::JobCounts& stored) {
  MutexLock lock(&mutex_);
  for (const auto& [state, count] : stored) {
    if (jobs::IsTerminal(state)) ended_[state] = count;
  }
}

void JobMetrics::Stored(const jobs::JobRecord& record, const std::vector<v1::JobEvent>& events) {
  MutexLock lock(&mutex_);
  Live* live = Open(record);
  live->state = record.job.state();
  FollowQueue(record, live);
  FollowAttempt(record, live);
  for (const v1::JobEvent& event : events) {
    live->series.Apply(event);
    if (event.has_transition()) CountTransition(record.id, event.transition());
  }
  if (!jobs::IsTerminal(live->state)) return;
  duration_histograms_[live->state]->Observe(SecondsBetween(live->accepted, clock_->Elapsed()));
  ++ended_[live->state];
  live_.erase(record.id);
}

void JobMetrics::NotStarted(const jobs::JobRecord& /*record*/, const std::string& /*why*/) {
  workers_not_started_.Increment();
}

void JobMetrics::Deleted(const jobs::JobRecord& record) {
  MutexLock lock(&mutex_);
  --ended_[record.job.state()];
  std::erase_if(failures_, [&](const Failure& failure) { return failure.job == record.id; });
}

JobMetrics::Live* JobMetrics::Open(const jobs::JobRecord& record) {
  const auto [live, opened] = live_.try_emplace(record.id);
  if (opened) live->second.accepted = MomentOf(record.job.create_time());
  return &live->second;
}

void JobMetrics::FollowQueue(const jobs::JobRecord& record, Live* live) {
  if (jobs::WaitsForCores(record)) {
    if (live->waiting_since.has_value()) return;
    // For a job that an earlier server left this lies in the past.
    live->waiting_since =
        MomentOf(record.job.transitions(record.job.transitions_size() - 1).time());
    return;
  }
  if (live->waiting_since.has_value() && record.attempt_active()) {
    queue_wait_.Observe(SecondsBetween(*live->waiting_since, clock_->Elapsed()));
  }
  live->waiting_since.reset();
}

void JobMetrics::FollowAttempt(const jobs::JobRecord& record, Live* live) {
  if (live->attempt != 0) {
    const v1::Attempt& before = record.job.attempts(live->attempt - 1);
    if (before.has_end_time()) {
      if (before.end_reason() == "WORKER_LOST") workers_lost_.Increment();
      live->attempt = 0;
      live->cores = 0;
    }
  }
  if (live->attempt == 0 && record.attempt_active()) {
    live->attempt = record.attempt();
    live->cores = record.job.attempts(live->attempt - 1).cores();
    live->series.BeginAttempt(record);
  }
}

std::vector<prometheus::MetricFamily> JobMetrics::Collect() const {
  MutexLock lock(&mutex_);
  std::vector<std::pair<std::string, const JobSeries*>> running;
  for (const auto& [id, live] : live_) {
    if (live.attempt != 0) running.emplace_back(id, &live.series);
  }
  std::vector<prometheus::MetricFamily> families = CollectJobs(running);
  CollectLoad(&families);
  CollectFailures(&families);
  return families;
}

void JobMetrics::CollectFailures(std::vector<prometheus::MetricFamily>* families) const {
  auto failed = Samples::Gauge("atelier_job_failed_timestamp_seconds",
                               "When the jobs that failed last did, Unix time.");
  for (const Failure& failure : failures_) {
    failed.Add(failure.time, {{"job", failure.job}, {"reason", failure.reason}});
  }
  std::move(failed).MoveTo(families);
}

void JobMetrics::CollectLoad(std::vector<prometheus::MetricFamily>* families) const {
  jobs::JobCounts counts = ended_;
  int waiting = 0;
  int cores = 0;
  for (const auto& [id, live] : live_) {
    ++counts[live.state];
    if (live.waiting_since.has_value()) ++waiting;
    cores += live.cores;
  }
  auto jobs = Samples::Gauge("atelier_jobs", "Stored jobs by state.");
  for (const StateReasons& known : KnownTransitions()) {
    jobs.Add(static_cast<double>(counts[known.state]), {{"state", Word(known.state)}});
  }
  std::move(jobs).MoveTo(families);
  const auto add = [&](const char* name, const char* help, double value) {
    auto samples = Samples::Gauge(name, help);
    samples.Add(value);
    std::move(samples).MoveTo(families);
  };
  add("atelier_queue_length", "Jobs waiting.", waiting);
  add("atelier_queue_capacity", "Jobs that may wait.",
      static_cast<double>(options_.queue_capacity));
  add("atelier_worker_cores", "Cores for workers.", options_.worker_cores);
  add("atelier_worker_cores_in_use", "Cores given to running jobs.", cores);
}

}  // namespace atelier::metrics
