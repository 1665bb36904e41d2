#include "server/remote/launch_ledger.h"

#include <algorithm>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace atelier::remote {
namespace {

using Cause = jobs::ProcessEnd::Cause;

// What was said of a launch, to be compared.
std::string TextOf(const jobs::LaunchStatus& status) {
  if (const auto* pending = std::get_if<jobs::LaunchPending>(&status)) {
    return absl::StrCat("pending ", pending->why);
  }
  const auto* running = std::get_if<jobs::LaunchRunning>(&status);
  return running == nullptr ? "ended" : absl::StrCat("running ", running->where);
}

// What follows may name nodes or numbers, of which there are many.
std::string FirstWord(const std::string& reason) {
  const auto end = std::find_if_not(reason.begin(), reason.end(),
                                    [](char c) { return absl::ascii_isalnum(c) || c == '_'; });
  return end == reason.begin() ? "None" : std::string(reason.begin(), end);
}

const jobs::ProcessEnd* EndOf(const ListedLaunch& listed) {
  return listed.status.has_value() ? std::get_if<jobs::ProcessEnd>(&*listed.status) : nullptr;
}

}  // namespace

absl::StatusOr<LaunchKey> LaunchKey::Parse(absl::string_view handle) {
  const std::size_t colon = handle.find(':');
  if (colon == absl::string_view::npos || colon == 0 ||
      !absl::StartsWith(handle.substr(colon + 1), "atelier:")) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", handle, "' names no launch; it would be <id>:atelier:…"));
  }
  return LaunchKey{std::string(handle.substr(0, colon)), std::string(handle.substr(colon + 1))};
}

std::string LaunchKey::ToHandle() const { return absl::StrCat(id, ":", name); }

void LaunchLedger::Watch(const LaunchKey& key, const jobs::LaunchStatus& told, absl::Duration now) {
  Launch launch{.key = key, .since = now};
  launch.told = TextOf(told);
  launch.status = told;
  launch.ran = std::holds_alternative<jobs::LaunchRunning>(told);
  launches_.insert_or_assign(key.ToHandle(), std::move(launch));
}

void LaunchLedger::Doom(const std::string& handle) {
  const auto launch = launches_.find(handle);
  if (launch != launches_.end()) launch->second.doomed = true;
}

LaunchLedger::Findings LaunchLedger::Take(const std::vector<ListedLaunch>& list,
                                          absl::Duration asked, absl::Duration now) {
  Findings findings;
  AdoptUnknown(list, now, &findings);
  std::map<std::string, const ListedLaunch*> by_handle;
  for (const ListedLaunch& listed : list) by_handle[listed.key.ToHandle()] = &listed;
  for (auto launch = launches_.begin(); launch != launches_.end();) {
    const auto found = by_handle.find(launch->first);
    const ListedLaunch* const listed = found == by_handle.end() ? nullptr : found->second;
    const bool kept = TakeOne(listed, asked, now, &launch->second, &findings);
    launch = kept ? std::next(launch) : launches_.erase(launch);
  }
  return findings;
}

void LaunchLedger::AdoptUnknown(const std::vector<ListedLaunch>& list, absl::Duration now,
                                Findings* findings) {
  for (const ListedLaunch& listed : list) {
    const std::string handle = listed.key.ToHandle();
    if (!absl::StartsWith(listed.key.name, options_.prefix) || EndOf(listed) != nullptr ||
        launching_.contains(listed.key.name) || launches_.contains(handle)) {
      continue;
    }
    Launch launch{.key = listed.key, .since = now};
    launch.watched = false;
    launch.doomed = true;
    launches_.emplace(handle, std::move(launch));
    findings->unknown.push_back(listed.key.name);
  }
}

bool LaunchLedger::TakeOne(const ListedLaunch* listed, absl::Duration asked, absl::Duration now,
                           Launch* launch, Findings* findings) const {
  if (listed == nullptr) {
    // A list that was asked for before the launch was there says nothing of it.
    if (launch->since >= asked || ++launch->absent < options_.absences) return true;
    if (launch->watched) findings->ended.emplace_back(launch->key, std::nullopt);
    return launch->watched;
  }
  launch->absent = 0;
  if (!listed->status.has_value()) return true;
  launch->status = *listed->status;
  if (const jobs::ProcessEnd* const end = EndOf(*listed)) {
    if (launch->watched) findings->ended.emplace_back(launch->key, *end);
    return launch->watched;
  }
  const bool runs = std::holds_alternative<jobs::LaunchRunning>(*listed->status);
  if (!runs) JudgePending(*listed, launch, findings);
  launch->ran = launch->ran || runs;
  Tell(*listed->status, launch, findings);
  if (launch->doomed && now >= launch->next_cancel) {
    launch->next_cancel = now + options_.cancel_interval;
    findings->cancel.push_back(*listed);
  }
  return true;
}

void LaunchLedger::JudgePending(const ListedLaunch& listed, Launch* launch,
                                Findings* findings) const {
  std::optional<jobs::ProcessEnd> end;
  const std::string title = options_.title(listed.key.id);
  launch->refused = listed.never_why.empty() ? 0 : launch->refused + 1;
  if (launch->ran && listed.queued) {
    end = {absl::StrCat("put back into the queue, ", title), Cause::kPreempted};
  } else if (launch->refused >= options_.refusals) {
    end = {absl::StrCat(title, " will never run as it is asked for: ", listed.never_why),
           Cause::kRefused};
  }
  if (!end.has_value()) return;
  launch->doomed = true;
  if (std::exchange(launch->watched, false)) {
    findings->news.emplace_back(launch->key.ToHandle(), *std::move(end));
  }
}

void LaunchLedger::Tell(const jobs::LaunchStatus& status, Launch* launch, Findings* findings) {
  std::string text = TextOf(status);
  if (!launch->watched || text == launch->told) return;
  launch->told = std::move(text);
  findings->news.emplace_back(launch->key.ToHandle(), status);
}

LaunchLedger::Findings LaunchLedger::TakeSilence(absl::string_view why) {
  Findings findings;
  for (auto& [handle, launch] : launches_) {
    if (launch.ran) continue;
    const std::string title = options_.title(launch.key.id);
    Tell(jobs::LaunchPending{absl::StrCat(title, ": ", why)}, &launch, &findings);
  }
  return findings;
}

EngineLoad LaunchLedger::Load() const {
  EngineLoad load;
  for (const auto& [handle, launch] : launches_) {
    if (const auto* const running = std::get_if<jobs::LaunchRunning>(&launch.status)) {
      for (const std::string& node : running->nodes) ++load.running[node];
    } else if (const auto* pending = std::get_if<jobs::LaunchPending>(&launch.status)) {
      ++load.pending[FirstWord(pending->reason)];
    }
  }
  return load;
}

}  // namespace atelier::remote
