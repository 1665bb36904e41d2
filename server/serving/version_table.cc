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
  const auto file = FileIdentity::Of(version.archive_path);
  {
    absl::MutexLock lock(&mutex_);
    if (IsUnloaded(number)) return WasUnloaded(version);
    if (const auto known = loaded_.find(number); known != loaded_.end()) {
      if (known->second.file == file) {
        known->second.served->Touch(Clock::now());
        return known->second.served;
      }
    }
    if (const auto failed = failures_.find(number); failed != failures_.end()) {
      const bool recent =
          Clock::now() - failed->second.time < absl::ToChronoNanoseconds(options_.retry_delay);
      if (recent && failed->second.file == file) return failed->second.status;
      failures_.erase(failed);
    }
    loading_ = number;
  }
  Drop(number);  // What was loaded from another file.
  Result result = LoadAnew(version, file);
  {
    absl::MutexLock lock(&mutex_);
    loading_.reset();
    if (result.ok()) {
      loaded_[number] = {*result, *file};
    } else {
      failures_[number] = {result.status(), file, Clock::now()};
    }
  }
  if (result.ok()) EvictBeyondLimit(*result);
  return result;
}

VersionTable::Result VersionTable::LoadAnew(const Version& version,
                                            const std::optional<FileIdentity>& file) {
  if (!file.has_value()) {
    return CannotBeUsed(version, absl::StrCat(version.archive_path, " is missing."));
  }
  std::shared_ptr<VersionObserver> observer =
      options_.observer != nullptr ? options_.observer->Observe(version.model, version.number)
                                   : std::make_shared<VersionObserver>();
  const SteadyTime begin = Clock::now();
  auto engine = loader_(version);
  if (!engine.ok()) return CannotBeUsed(version, engine.status().message());
  if (FileIdentity::Of(version.archive_path) != file) {
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
    const ServingState state = ReadServingState(options_.state_path);
    {
      absl::MutexLock lock(&mutex_);
      unloaded_.insert(state.unloaded.begin(), state.unloaded.end());
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
    failures_.erase(number);
    unloaded_.erase(number);
  });
}

void VersionTable::Unload(const std::string& model, std::optional<std::int64_t> number) {
  PostAndWait([this, model, number] {
    {
      absl::MutexLock lock(&mutex_);
      unloaded_.insert({model, number.value_or(0)});
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
    unloaded_.erase({model, 0});
    if (number.has_value()) unloaded_.erase({model, *number});
  });
}

bool VersionTable::IsUnloaded(const Number& number) const {
  return unloaded_.contains(number) || unloaded_.contains({number.first, 0});
}

void VersionTable::Log(const std::string& sentence) const {
  if (options_.log) options_.log(sentence);
}

VersionTable::Standing VersionTable::StandingOf(const Version& version) const {
  const Number number(version.model, version.number);
  Standing standing;
  standing.version = version;
  absl::MutexLock lock(&mutex_);
  if (loaded_.contains(number)) {
    standing.state = State::kReady;
  } else if (loading_ == number) {
    standing.state = State::kLoading;
    standing.reason = "it is being loaded";
  } else if (IsUnloaded(number)) {
    standing.reason = "unloaded";
  } else if (const auto failed = failures_.find(number); failed != failures_.end()) {
    standing.state = State::kFailed;
    standing.reason = std::string(failed->second.status.message());
  } else {
    standing.reason = "not in memory; it is loaded when it is asked for";
  }
  return standing;
}

std::vector<std::shared_ptr<ServedVersion>> VersionTable::Loaded() const {
  std::vector<ServedPtr> loaded;
  absl::MutexLock lock(&mutex_);
  loaded.reserve(loaded_.size());
  for (const auto& [number, entry] : loaded_) loaded.push_back(entry.served);
  return loaded;
}

}  // namespace atelier::serving
