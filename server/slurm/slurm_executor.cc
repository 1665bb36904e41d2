#include "server/slurm/slurm_executor.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace atelier::slurm {
namespace {

constexpr std::int64_t kMebibyte = std::int64_t{1} << 20;
// Above what the job may use, so that its worker is the first to notice and says why.
constexpr std::int64_t kSpareMemory = 128 * kMebibyte;
// Warning before a time limit, in seconds: for a checkpoint.
constexpr int kWarning = 60;

}  // namespace

absl::StatusOr<std::unique_ptr<SlurmExecutor>> SlurmExecutor::Create(Options options,
                                                                     const Clock* clock,
                                                                     launch::CommandRunner runner) {
  auto worker = launch::WorkerCommand::Create(options.worker);
  if (!worker.ok()) return worker.status();
  auto commands = SlurmCommands::Create(options.slurm.bin_dir, std::move(runner));
  if (!commands.ok()) return commands.status();
  std::unique_ptr<SlurmExecutor> executor(
      new SlurmExecutor(std::move(options), *std::move(worker), *std::move(commands), clock));
  if (executor->options_.own_thread) {
    executor->thread_ = std::make_unique<TickThread>(
        TickThread::Options{.name = "slurm"}, [raw = executor.get()] { return raw->Tick(); });
  }
  return executor;
}

SlurmExecutor::SlurmExecutor(Options options, launch::WorkerCommand worker, SlurmCommands commands,
                             const Clock* clock)
    : options_(std::move(options)),
      worker_(std::move(worker)),
      commands_(std::move(commands)),
      clock_(clock),
      ledger_({.prefix = absl::StrCat("atelier:", options_.server_id, "/")}) {}

void SlurmExecutor::SetStatusCallback(StatusCallback callback) {
  MutexLock lock(&mutex_);
  callback_ = std::move(callback);
}

std::string SlurmExecutor::CommentOf(const std::string& job_id, int attempt) const {
  return absl::StrCat("atelier:", options_.server_id, "/", job_id, "/", attempt);
}

std::vector<std::string> SlurmExecutor::SubmitArguments(const jobs::LaunchRequest& request) const {
  const std::int64_t memory = request.resources.memory_bytes;
  std::vector<std::string> arguments = {
      "--parsable",
      // An attempt is run once: its number, its token and its events are its own.
      "--no-requeue", absl::StrCat("--job-name=atelier-", request.job_id, "-", request.attempt),
      absl::StrCat("--comment=", CommentOf(request.job_id, request.attempt)), "--nodes=1",
      "--ntasks=1", absl::StrCat("--cpus-per-task=", request.resources.cores),
      absl::StrCat("--signal=B:TERM@", kWarning), "--open-mode=append",
      absl::StrCat("--output=", OutputPattern(request.attempt_dir), "/worker.log"),
      absl::StrCat("--chdir=", request.attempt_dir),
      // All of what sbatch is given here, which is little.
      "--export=ALL"};
  if (memory > 0) {
    arguments.push_back(
        absl::StrCat("--mem=", (memory + kSpareMemory + kMebibyte - 1) / kMebibyte, "M"));
  }
  if (request.resources.gpus > 0) {
    arguments.push_back(absl::StrCat("--gres=", options_.slurm.gres));
  }
  // Of an argument that is given twice sbatch takes the last.
  for (const auto* further : {&options_.slurm.arguments, &request.arguments}) {
    arguments.insert(arguments.end(), further->begin(), further->end());
  }
  return arguments;
}

absl::StatusOr<jobs::Launched> SlurmExecutor::Launch(const jobs::LaunchRequest& request) {
  std::error_code error;
  std::filesystem::create_directories(request.attempt_dir, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("cannot make the folder ", request.attempt_dir, ": ", error.message()));
  }
  const std::string comment = CommentOf(request.job_id, request.attempt);
  {
    MutexLock lock(&mutex_);
    ledger_.BeginLaunch(comment);
  }
  const auto id =
      commands_.Submit(SubmitArguments(request), launch::WorkerCommand::Environment(request.token),
                       BatchScript(worker_.Arguments(request)));
  const absl::Cleanup kick = [this] { Kick(); };
  MutexLock lock(&mutex_);
  ledger_.EndLaunch(comment);
  AskSoon();
  if (!id.ok()) {
    // It may have been taken all the same.
    search_due_ = true;
    return id.status();
  }
  const jobs::LaunchPending submitted{absl::StrCat("Slurm job ", *id, " is submitted")};
  const JobKey key{*id, comment};
  ledger_.Watch(key, submitted, clock_->Elapsed());
  return jobs::Launched{.handle = key.ToHandle(), .status = submitted};
}

absl::StatusOr<std::string> SlurmExecutor::Find(const std::string& job_id, int attempt,
                                                const std::string& /*token*/) {
  const auto list = RecentList();
  if (!list.ok()) return list.status();
  const std::string comment = CommentOf(job_id, attempt);
  for (const ListedJob& listed : *list) {
    if (listed.comment == comment && StageOf(listed.state) != Stage::kEnded) {
      return JobKey{listed.id, comment}.ToHandle();
    }
  }
  return absl::NotFoundError(
      absl::StrCat("Slurm has no job of attempt ", attempt, " at job ", job_id));
}

absl::StatusOr<jobs::LaunchStatus> SlurmExecutor::Adopt(const std::string& handle) {
  const auto key = JobKey::Parse(handle);
  if (!key.ok()) return key.status();
  const auto list = RecentList();
  jobs::LaunchStatus status = jobs::LaunchPending{
      absl::StrCat("Slurm job ", key->id, ": ", list.ok() ? "" : list.status().message())};
  if (list.ok()) {
    const auto listed = std::find_if(list->begin(), list->end(), [&](const ListedJob& job) {
      return job.id == key->id && job.comment == key->comment;
    });
    if (listed == list->end()) {
      return absl::NotFoundError(absl::StrCat("Slurm no longer lists job ", key->id));
    }
    if (StageOf(listed->state) == Stage::kEnded) {
      JobDetails details;
      details.state = listed->state;
      details.nodes = listed->nodes;
      return AskEnd(*key, details).value_or(EndOf(key->id, details));
    }
    status = StatusOf(*listed);
  }
  MutexLock lock(&mutex_);
  ledger_.Watch(*key, status, clock_->Elapsed());
  return status;
}

void SlurmExecutor::Recovered() {
  const absl::Cleanup kick = [this] { Kick(); };
  MutexLock lock(&mutex_);
  recovered_ = true;
  AskSoon();
}

void SlurmExecutor::Kill(const std::string& handle) {
  const absl::Cleanup kick = [this] { Kick(); };
  MutexLock lock(&mutex_);
  ledger_.Doom(handle);
  AskSoon();
}

void SlurmExecutor::AskSoon() {
  // While Slurm does not answer, nobody's hurry makes it.
  if (failures_ == 0) next_poll_ = std::min(next_poll_, last_poll_ + options_.poll_interval);
}

void SlurmExecutor::Kick() {
  if (thread_ != nullptr) thread_->kick()();
}

absl::StatusOr<std::vector<ListedJob>> SlurmExecutor::RecentList() {
  {
    MutexLock lock(&mutex_);
    if (recent_.has_value() && clock_->Elapsed() - recent_time_ < options_.poll_interval) {
      return *recent_;
    }
  }
  auto list = commands_.List();
  MutexLock lock(&mutex_);
  recent_ = list;
  recent_time_ = clock_->Elapsed();
  return list;
}

absl::Duration SlurmExecutor::Tick() {
  const absl::Duration asked = clock_->Elapsed();
  {
    MutexLock lock(&mutex_);
    recent_.reset();
    if (!recovered_ || (ledger_.empty() && !search_due_)) return absl::InfiniteDuration();
    if (asked < next_poll_) return next_poll_ - asked;
    last_poll_ = asked;
    search_due_ = false;
  }
  const auto list = commands_.List();
  bool news = false;  // That it does not answer.
  const SlurmLedger::Findings findings = TakeAnswer(list, asked, &news);
  if (news) Log(absl::StrCat(list.status().message(), "; it is asked again."));
  Deliver(findings);
  MutexLock lock(&mutex_);
  if (ledger_.empty() && !search_due_) return absl::InfiniteDuration();
  return std::max(next_poll_ - clock_->Elapsed(), absl::ZeroDuration());
}

SlurmLedger::Findings SlurmExecutor::TakeAnswer(const absl::StatusOr<std::vector<ListedJob>>& list,
                                                absl::Duration asked, bool* silence) {
  MutexLock lock(&mutex_);
  if (list.ok()) {
    failures_ = 0;
    next_poll_ = asked + options_.poll_interval;
    return ledger_.Take(*list, asked, clock_->Elapsed());
  }
  *silence = failures_++ == 0;
  search_due_ = true;
  next_poll_ = asked + std::min(options_.poll_interval * (1 << std::min(failures_, 10)),
                                options_.max_poll_interval);
  return ledger_.TakeSilence(list.status().message());
}

void SlurmExecutor::Deliver(const SlurmLedger::Findings& findings) {
  StatusCallback callback;
  {
    MutexLock lock(&mutex_);
    callback = callback_;
  }
  for (const auto& [handle, status] : findings.news) callback(handle, status);
  for (const std::string& comment : findings.unknown) {
    Log(absl::StrCat("The Slurm job ", comment, " belongs to no attempt; it is cancelled."));
  }
  for (const auto& [key, listed] : findings.ended) {
    const auto end = AskEnd(key, listed);
    if (!end.has_value()) continue;  // Listed as ended next time, too.
    {
      MutexLock lock(&mutex_);
      ledger_.Forget(key.ToHandle());
    }
    callback(key.ToHandle(), *end);
  }
  const absl::Status cancelled = commands_.Cancel(findings.cancel_pending, findings.cancel_running);
  if (!cancelled.ok()) {
    Log(absl::StrCat("Slurm jobs could not be cancelled: ", cancelled.message(),
                     "; it is tried again."));
  }
}

std::optional<jobs::ProcessEnd> SlurmExecutor::AskEnd(const JobKey& key,
                                                      const JobDetails& listed) const {
  // Of a job that is no longer listed the number may be another's.
  if (listed.state.empty()) return EndOf(key.id, listed);
  const auto details = commands_.Show(key.id);
  if (details.ok()) return EndOf(key.id, *details);
  if (absl::IsNotFound(details.status())) return EndOf(key.id, listed);
  return std::nullopt;
}

void SlurmExecutor::Log(const std::string& sentence) const {
  if (options_.log) options_.log(sentence);
}

}  // namespace atelier::slurm
