#include "server/serving/version_table.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "server/serving/serving_state.h"

namespace atelier::serving {
namespace {

using Clock = std::chrono::steady_clock;

absl::Status CannotBeUsed(const Version& version, absl::string_view why) {
  return absl::UnavailableError(absl::StrCat("Version ", version.number, " of model ",
                                             version.model, " cannot be used: ", why));
}

absl::Status WasUnloaded(const Version& version) {
  return CannotBeUsed(version, "it was unloaded by request, and is until it is loaded by request.");
}

// True if the registry has no such version, rather than being out of order.
bool IsGone(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsFailedPrecondition(status);
}

}  // namespace

absl::Status Stopping() { return absl::UnavailableError("The server is stopping."); }

VersionTable::VersionTable(Options options, VersionSource* source, EngineLoader loader)
    : options_(std::move(options)), source_(source), loader_(std::move(loader)) {
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "model-loader");
}

VersionTable::~VersionTable() {
  absl::flat_hash_map<Route, std::vector<Ready>> waiting;
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
    waiting.swap(waiting_);
    changed_.SignalAll();
  }
  for (const auto& [route, readies] : waiting) {
    for (const Ready& ready : readies) ready(Stopping());
  }
  thread_.join();
}

void VersionTable::Run() {
  const auto interval = absl::ToChronoNanoseconds(options_.check_interval);
  SteadyTime next_check = Clock::now() + interval;
  while (true) {
    std::function<void()> task;
    {
      absl::MutexLock lock(&mutex_);
      while (!ending_ && tasks_.empty() && Clock::now() < next_check) {
        changed_.WaitWithTimeout(&mutex_, absl::FromChrono(next_check - Clock::now()));
      }
      // Who waits for a task at the end still gets it.
      if (ending_ && tasks_.empty()) return;
      if (!tasks_.empty()) {
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
    }
    if (task) {
      task();
    } else {
      Check();
      next_check = Clock::now() + interval;
    }
    SaveState();
  }
}

void VersionTable::Post(std::function<void()> task) {
  absl::MutexLock lock(&mutex_);
  tasks_.push_back(std::move(task));
  changed_.SignalAll();
}

void VersionTable::PostAndWait(std::function<void()> task) {
  absl::Notification done;
  Post([&] {
    task();
    SaveState();
    done.Notify();
  });
  done.WaitForNotification();
}

void VersionTable::Get(const std::string& model, const std::string& reference, Ready ready) {
  Route route(model, reference);
  ServedPtr found;
  bool ending = false;
  {
    absl::MutexLock lock(&mutex_);
    ending = ending_;
    if (const auto entry = routes_.find(route); entry != routes_.end()) {
      found = entry->second;
    } else if (!ending) {
      std::vector<Ready>& readies = waiting_[route];
      readies.push_back(std::move(ready));
      if (readies.size() > 1) return;
      tasks_.push_back([this, route = std::move(route)] {
        {
          absl::MutexLock relock(&mutex_);
          if (!waiting_.contains(route)) return;  // All were told of the end.
        }
        const Result result = Obtain(route);
        std::vector<Ready> told;
        {
          absl::MutexLock relock(&mutex_);
          if (const auto mine = waiting_.find(route); mine != waiting_.end()) {
            told = std::move(mine->second);
            waiting_.erase(mine);
          }
        }
        for (const Ready& one : told) one(result);
      });
      changed_.SignalAll();
      return;
    }
  }
  if (ending) return ready(Stopping());
  found->Touch(Clock::now());
  ready(std::move(found));
}

VersionTable::Result VersionTable::Load(const std::string& model, const std::string& reference) {
  Result result = Stopping();
  absl::Notification done;
  Get(model, reference, [&](Result loaded) {
    result = std::move(loaded);
    done.Notify();
  });
  done.WaitForNotification();
  return result;
}

VersionTable::Result VersionTable::Obtain(const Route& route) {
  const auto& [model, reference] = route;
  const auto version = source_->Resolve(model, reference);
  ServedPtr old;
  if (!version.ok()) {
    // A registry that is out of order for a moment takes nothing out of service.
    absl::MutexLock lock(&mutex_);
    if (const auto entry = routes_.find(route);
        entry != routes_.end() && IsGone(version.status())) {
      old = std::move(entry->second);
      routes_.erase(entry);
    }
    return version.status();
  }
  Result loaded = LoadVersion(*version);
  {
    absl::MutexLock lock(&mutex_);
    const auto entry = routes_.find(route);
    if (entry != routes_.end()) old = entry->second;
    if (!loaded.ok()) {
      if (old != nullptr && IsUnloaded({model, version->number})) routes_.erase(route);
    } else {
      routes_[route] = *loaded;
    }
  }
  const bool switched = old != nullptr && loaded.ok() && old != *loaded;
  if (switched && options_.observer != nullptr) options_.observer->Swapped(model);
  return loaded;
}

VersionTable::Result VersionTable::LoadVersion(const Version& version) {
  const Number number(version.model, version.number);
  auto file = models::FileIdentity::Of(version.archive_path);
  ServedPtr old;  // What was loaded from another file.
  {
    absl::MutexLock lock(&mutex_);
    if (IsUnloaded(number)) return WasUnloaded(version);
    const SteadyTime now = Clock::now();
    VersionState& state = states_[number];
    if (ServedPtr served = Valid(state, file); served != nullptr) {
      served->Touch(now);
      return served;
    }
    absl::Status failed =
        state.RecentFailure(file, now, absl::ToChronoNanoseconds(options_.retry_delay));
    if (!failed.ok()) return failed;
    old = state.BeginLoading();
    EraseRoutesTo(old);
  }
  old.reset();  // Before the new one needs memory.
  Result result = LoadAnew(version, &file);
  {
    absl::MutexLock lock(&mutex_);
    VersionState& state = states_[number];
    if (result.ok()) {
      state.FinishLoading(*result, *file);
    } else {
      state.FailLoading(result.status(), file, Clock::now());
    }
  }
  if (result.ok()) EvictBeyondLimit(*result);
  return result;
}

VersionTable::ServedPtr VersionTable::Valid(const VersionState& state,
                                            const std::optional<models::FileIdentity>& file) const {
  return options_.keeps_without_archive && !file.has_value() ? state.served()
                                                             : state.ServedFrom(file);
}

VersionTable::Result VersionTable::LoadAnew(const Version& version,
                                            std::optional<models::FileIdentity>* file) {
  if (absl::Status fetched = source_->Fetch(version); !fetched.ok()) {
    return CannotBeUsed(version, fetched.message());
  }
  *file = models::FileIdentity::Of(version.archive_path);
  if (!file->has_value()) {
    return CannotBeUsed(version, absl::StrCat(version.archive_path, " is missing."));
  }
  std::shared_ptr<VersionObserver> observer =
      options_.observer != nullptr ? options_.observer->Observe(version.model, version.number)
                                   : std::make_shared<VersionObserver>();
  const SteadyTime begin = Clock::now();
  auto engine = loader_(version);
  if (!engine.ok()) return CannotBeUsed(version, engine.status().message());
  if (models::FileIdentity::Of(version.archive_path) != *file) {
    return CannotBeUsed(version,
                        absl::StrCat(version.archive_path, " was changed while it was loaded."));
  }
  const SteadyTime now = Clock::now();
  observer->Loaded(absl::FromChrono(now - begin), (*engine)->memory_bytes());
  auto served = std::make_shared<ServedVersion>(version, *std::move(engine), std::move(observer));
  served->Touch(now);
  return served;
}

void VersionTable::Restore() {
  PostAndWait([this] {
    restored_ = true;
    const ServingState state = ReadServingState(options_.state_path);
    {
      absl::MutexLock lock(&mutex_);
      for (const Number& number : state.unloaded) {
        if (number.second == kWholeModel) {
          unloaded_models_.insert(number.first);
        } else {
          states_[number].KeepOut();
        }
      }
    }
    for (const auto& route : state.loaded) {
      const Result result = Obtain(route);
      if (!result.ok()) {
        Log(absl::StrCat("models/", route.first, " is not restored: ", result.status().message()));
      }
    }
  });
}

void VersionTable::Follow(const std::string& model) {
  Post([this, model] { FollowRegistry(model); });
}

void VersionTable::Refresh(const std::string& model) {
  PostAndWait([this, model] { FollowRegistry(model); });
}

void VersionTable::Forget(const std::string& model, std::int64_t number) {
  PostAndWait([this, number = Number(model, number)] {
    Drop(number);
    absl::MutexLock lock(&mutex_);
    states_.erase(number);
  });
}

void VersionTable::Unload(const std::string& model, std::optional<std::int64_t> number) {
  PostAndWait([this, model, number] {
    {
      absl::MutexLock lock(&mutex_);
      if (number.has_value()) {
        states_[{model, *number}].KeepOut();
      } else {
        unloaded_models_.insert(model);
      }
    }
    for (const ServedPtr& served : Loaded()) {
      const Version& version = served->version;
      if (version.model == model && version.number == number.value_or(version.number)) {
        Drop({version.model, version.number});
      }
    }
  });
}

void VersionTable::Allow(const std::string& model, std::optional<std::int64_t> number) {
  PostAndWait([this, model, number] {
    absl::MutexLock lock(&mutex_);
    unloaded_models_.erase(model);
    if (!number.has_value()) return;
    const auto state = states_.find(Number(model, *number));
    if (state == states_.end()) return;
    state->second.Allow();
    ForgetIfBlank(state->first);
  });
}

const VersionState* VersionTable::Find(const Number& number) const {
  const auto state = states_.find(number);
  return state == states_.end() ? nullptr : &state->second;
}

void VersionTable::ForgetIfBlank(const Number& number) {
  const auto state = states_.find(number);
  if (state != states_.end() && state->second.blank()) states_.erase(state);
}

bool VersionTable::IsUnloaded(const Number& number) const {
  const VersionState* state = Find(number);
  return unloaded_models_.contains(number.first) || (state != nullptr && state->kept_out());
}

void VersionTable::Log(const std::string& sentence) const {
  if (options_.log) options_.log(sentence);
}

absl::StatusOr<bool> VersionTable::CanAnswer(const std::string& model,
                                             const std::string& reference) const {
  {
    absl::MutexLock lock(&mutex_);
    if (routes_.contains(Route(model, reference))) return true;
  }
  const auto version = source_->Resolve(model, reference);
  if (!version.ok()) return version.status();
  const auto file = models::FileIdentity::Of(version->archive_path);
  const Number number(model, version->number);
  absl::MutexLock lock(&mutex_);
  if (IsUnloaded(number) || (!file.has_value() && !source_->MayFetch())) return false;
  const VersionState* state = Find(number);
  return (state == nullptr ? VersionState() : *state).CanAnswer(file);
}

VersionTable::Standing VersionTable::StandingOf(const Version& version) const {
  const Number number(version.model, version.number);
  Standing standing;
  standing.version = version;
  absl::MutexLock lock(&mutex_);
  const VersionState* state = Find(number);
  if (state != nullptr && state->served() != nullptr) {
    standing.state = State::kReady;
  } else if (state != nullptr && state->loading()) {
    standing.state = State::kLoading;
    standing.reason = "it is being loaded";
  } else if (IsUnloaded(number)) {
    standing.reason = "unloaded";
  } else if (state != nullptr && !state->failure().ok()) {
    standing.state = State::kFailed;
    standing.reason = std::string(state->failure().message());
  } else {
    standing.reason = "not in memory; it is loaded when it is asked for";
  }
  return standing;
}

std::vector<std::shared_ptr<ServedVersion>> VersionTable::Loaded() const {
  std::vector<ServedPtr> loaded;
  absl::MutexLock lock(&mutex_);
  for (const auto& [number, state] : states_) {
    if (ServedPtr served = state.served(); served != nullptr) loaded.push_back(std::move(served));
  }
  return loaded;
}

}  // namespace atelier::serving
