#include "server/remote/remote_executor.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <variant>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace atelier::remote {

RemoteExecutor::RemoteExecutor(Options options, std::unique_ptr<Engine> engine, const Clock* clock)
    : options_(std::move(options)),
      clock_(clock),
      ledger_({.prefix = absl::StrCat("atelier:", options_.server_id, "/"),
               .title = [this](absl::string_view id) { return engine_->Title(id); }}),
      engine_(std::move(engine)) {
  if (options_.own_thread) {
    thread_ = std::make_unique<TickThread>(TickThread::Options{.name = "launches"},
                                           [this] { return Tick(); });
  }
  engine_->SetBell([this, kick = thread_ == nullptr ? [] {} : thread_->kick()] {
    {
      MutexLock lock(&mutex_);
      AskSoon();
    }
    kick();
  });
}

void RemoteExecutor::SetStatusCallback(StatusCallback callback) {
  MutexLock lock(&mutex_);
  callback_ = std::move(callback);
}

std::string RemoteExecutor::NameOf(const std::string& job_id, int attempt) const {
  return absl::StrCat("atelier:", options_.server_id, "/", job_id, "/", attempt);
}

absl::StatusOr<jobs::Launched> RemoteExecutor::Launch(const jobs::LaunchRequest& request) {
  std::error_code error;
  std::filesystem::create_directories(request.attempt_dir, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("cannot make the folder ", request.attempt_dir, ": ", error.message()));
  }
  const std::string name = NameOf(request.job_id, request.attempt);
  {
    MutexLock lock(&mutex_);
    ledger_.BeginLaunch(name);
  }
  const auto id = engine_->Submit(request, name);
  const absl::Cleanup kick = [this] { Kick(); };
  MutexLock lock(&mutex_);
  ledger_.EndLaunch(name);
  AskSoon();
  if (!id.ok()) {
    // It may have been taken all the same.
    search_due_ = true;
    return id.status();
  }
  const jobs::LaunchPending submitted{absl::StrCat(engine_->Title(*id), " is submitted")};
  const LaunchKey key{*id, name};
  ledger_.Watch(key, submitted, clock_->Elapsed());
  return jobs::Launched{.handle = key.ToHandle(), .status = submitted};
}

absl::StatusOr<std::string> RemoteExecutor::Find(const std::string& job_id, int attempt,
                                                 const std::string& /*token*/) {
  const auto list = RecentList();
  if (!list.ok()) return list.status();
  const std::string name = NameOf(job_id, attempt);
  for (const ListedLaunch& listed : *list) {
    const bool ended =
        listed.status.has_value() && std::holds_alternative<jobs::ProcessEnd>(*listed.status);
    if (listed.key.name == name && !ended) return listed.key.ToHandle();
  }
  return absl::NotFoundError(
      absl::StrCat("there is no launch of attempt ", attempt, " at job ", job_id));
}

absl::StatusOr<jobs::LaunchStatus> RemoteExecutor::Adopt(const std::string& handle) {
  const auto key = LaunchKey::Parse(handle);
  if (!key.ok()) return key.status();
  const auto list = RecentList();
  const std::string title = engine_->Title(key->id);
  jobs::LaunchStatus status =
      jobs::LaunchPending{absl::StrCat(title, ": ", list.ok() ? "" : list.status().message())};
  if (list.ok()) {
    const auto listed = std::find_if(list->begin(), list->end(), [&](const ListedLaunch& launch) {
      return launch.key.ToHandle() == handle;
    });
    if (listed == list->end()) {
      return absl::NotFoundError(absl::StrCat(title, " is no longer listed"));
    }
    status = listed->status.value_or(
        jobs::LaunchPending{absl::StrCat(title, " is in a state that is not known")});
    if (const auto* const end = std::get_if<jobs::ProcessEnd>(&status)) {
      const jobs::ProcessEnd known = engine_->AskEnd(*key, *end).value_or(*end);
      engine_->Release(*key);
      return known;
    }
  }
  MutexLock lock(&mutex_);
  ledger_.Watch(*key, status, clock_->Elapsed());
  return status;
}

void RemoteExecutor::Recovered() {
  const absl::Cleanup kick = [this] { Kick(); };
  MutexLock lock(&mutex_);
  recovered_ = true;
  AskSoon();
}

void RemoteExecutor::Kill(const std::string& handle) {
  const absl::Cleanup kick = [this] { Kick(); };
  MutexLock lock(&mutex_);
  ledger_.Doom(handle);
  AskSoon();
}

void RemoteExecutor::AskSoon() {
  // While the engine does not answer, nobody's hurry makes it.
  if (failures_ == 0) next_poll_ = std::min(next_poll_, last_poll_ + options_.least_interval);
}

void RemoteExecutor::Kick() {
  if (thread_ != nullptr) thread_->kick()();
}

absl::StatusOr<std::vector<ListedLaunch>> RemoteExecutor::RecentList() {
  {
    MutexLock lock(&mutex_);
    if (recent_.has_value() && clock_->Elapsed() - recent_time_ < options_.least_interval) {
      return *recent_;
    }
  }
  auto list = engine_->List();
  MutexLock lock(&mutex_);
  recent_ = list;
  recent_time_ = clock_->Elapsed();
  return list;
}

absl::Duration RemoteExecutor::Tick() {
  const absl::Duration asked = clock_->Elapsed();
  {
    MutexLock lock(&mutex_);
    recent_.reset();
    if (!recovered_ || (ledger_.empty() && !search_due_)) return absl::InfiniteDuration();
    if (asked < next_poll_) return next_poll_ - asked;
    last_poll_ = asked;
    search_due_ = false;
  }
  const auto list = engine_->List();
  bool news = false;  // That it does not answer.
  const LaunchLedger::Findings findings = TakeAnswer(list, asked, &news);
  if (news) Log(absl::StrCat(list.status().message(), "; it is asked again."));
  Deliver(findings);
  Show();
  MutexLock lock(&mutex_);
  if (ledger_.empty() && !search_due_) return absl::InfiniteDuration();
  return std::max(next_poll_ - clock_->Elapsed(), absl::ZeroDuration());
}

LaunchLedger::Findings RemoteExecutor::TakeAnswer(
    const absl::StatusOr<std::vector<ListedLaunch>>& list, absl::Duration asked, bool* silence) {
  MutexLock lock(&mutex_);
  if (list.ok()) {
    failures_ = 0;
    silent_since_.reset();
    next_poll_ = asked + options_.poll_interval;
    return ledger_.Take(*list, asked, clock_->Elapsed());
  }
  *silence = failures_++ == 0;
  if (*silence) silent_since_ = clock_->Now();
  search_due_ = true;
  next_poll_ = asked + std::min(options_.least_interval * (1 << std::min(failures_, 10)),
                                options_.max_poll_interval);
  return ledger_.TakeSilence(list.status().message());
}

void RemoteExecutor::Deliver(const LaunchLedger::Findings& findings) {
  StatusCallback callback;
  {
    MutexLock lock(&mutex_);
    callback = callback_;
  }
  for (const auto& [handle, status] : findings.news) callback(handle, status);
  for (const std::string& name : findings.unknown) {
    Log(absl::StrCat("The launch ", name, " belongs to no attempt; it is cancelled."));
  }
  for (const auto& [key, listed] : findings.ended) DeliverEnd(key, listed, callback);
  if (findings.cancel.empty()) return;
  const absl::Status cancelled = engine_->Cancel(findings.cancel);
  if (!cancelled.ok()) {
    Log(absl::StrCat("Launches could not be cancelled: ", cancelled.message(),
                     "; it is tried again."));
  }
}

void RemoteExecutor::DeliverEnd(const LaunchKey& key, const std::optional<jobs::ProcessEnd>& listed,
                                const StatusCallback& callback) {
  std::optional<jobs::ProcessEnd> end =
      jobs::ProcessEnd{absl::StrCat(engine_->Title(key.id), " is no longer listed")};
  // Of a launch that is no longer listed the id may be another's.
  if (listed.has_value()) end = engine_->AskEnd(key, *listed);
  if (!end.has_value()) return;  // Listed as ended next time, too.
  {
    MutexLock lock(&mutex_);
    ledger_.Forget(key.ToHandle());
  }
  callback(key.ToHandle(), *end);
  engine_->Release(key);
}

void RemoteExecutor::Show() const {
  if (options_.observer == nullptr) return;
  MutexLock lock(&mutex_);
  options_.observer->Asked(ledger_.Load());
  options_.observer->Silent(silent_since_);
}

void RemoteExecutor::Log(const std::string& sentence) const {
  if (options_.log) options_.log(sentence);
}

}  // namespace atelier::remote
