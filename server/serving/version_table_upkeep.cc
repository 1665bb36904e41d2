// What the version table's loading thread does of its own accord: switching, checking, freeing, and
// writing down what is loaded.
#include <algorithm>
#include <chrono>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/serving/serving_state.h"
#include "server/serving/version_table.h"

namespace atelier::serving {

void VersionTable::FollowRegistry(const std::string& model) {
  std::vector<std::pair<Route, std::int64_t>> routes;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [route, served] : routes_) {
      if (route.first == model) routes.emplace_back(route, served->version.number);
    }
  }
  for (const auto& [route, number] : routes) {
    const auto version = source_->Resolve(route.first, route.second);
    if (version.ok() && version->number == number) continue;
    const Result result = Obtain(route);
    if (result.ok() || !version.ok()) {
      complaints_.erase(route);
      continue;
    }
    std::string complaint = absl::StrCat("Model ", model, " (", route.second, ") stays at version ",
                                         number, ": ", result.status().message());
    if (complaints_[route] == complaint) continue;
    Log(complaint);
    complaints_[route] = std::move(complaint);
  }
}

void VersionTable::Check() {
  std::vector<Number> gone;
  const SteadyTime now = std::chrono::steady_clock::now();
  for (const ServedPtr& served : Loaded()) {
    const Number number(served->version.model, served->version.number);
    const auto file = models::FileIdentity::Of(served->version.archive_path);
    bool same = false;
    {
      absl::MutexLock lock(&mutex_);
      const VersionState* state = Find(number);
      same = state != nullptr && Valid(*state, file) != nullptr;
    }
    const bool idle = absl::FromChrono(now - served->last_use.load()) >= options_.idle;
    if (!same) {
      Log(absl::StrCat(served->version.archive_path, " is not the file that version ",
                       number.second, " of model ", number.first, " was loaded from."));
    }
    if (!same || idle) gone.push_back(number);
  }
  for (const Number& number : gone) Drop(number);
  std::set<std::string> behind;
  for (const auto& [route, complaint] : complaints_) behind.insert(route.first);
  for (const std::string& model : behind) FollowRegistry(model);
}

void VersionTable::Drop(const Number& number) {
  ServedPtr last;  // Destroyed without the lock.
  absl::MutexLock lock(&mutex_);
  const auto state = states_.find(number);
  if (state == states_.end()) return;
  last = state->second.Drop();
  EraseRoutesTo(last);
  ForgetIfBlank(number);
}

void VersionTable::EraseRoutesTo(const ServedPtr& served) {
  if (served == nullptr) return;
  absl::erase_if(routes_, [&](const auto& route) { return route.second == served; });
}

void VersionTable::EvictBeyondLimit(const ServedPtr& kept) {
  const std::vector<ServedPtr> all = Loaded();
  if (all.size() <= options_.max_loaded) return;
  // Read once each: callers touch versions while these are sorted.
  std::vector<std::pair<SteadyTime, Number>> others;
  for (const ServedPtr& served : all) {
    if (served == kept) continue;
    others.emplace_back(served->last_use.load(),
                        Number(served->version.model, served->version.number));
  }
  std::sort(others.begin(), others.end());
  others.resize(std::min(others.size(), all.size() - options_.max_loaded));
  for (const auto& [last_use, number] : others) Drop(number);
}

void VersionTable::SaveState() {
  if (options_.state_path.empty() || !restored_) return;
  ServingState state;
  {
    absl::MutexLock lock(&mutex_);
    if (ending_) return;  // What goes now comes back.
    for (const auto& [route, served] : routes_) state.loaded.insert(route);
    for (const std::string& model : unloaded_models_) state.unloaded.emplace(model, kWholeModel);
    for (const auto& [number, its] : states_) {
      if (its.kept_out()) state.unloaded.insert(number);
    }
  }
  std::string text = ServingStateText(state);
  if (text == saved_state_) return;
  const absl::Status status = WriteServingState(options_.state_path, text);
  if (!status.ok()) return Log(std::string(status.message()));
  saved_state_ = std::move(text);
}

}  // namespace atelier::serving
