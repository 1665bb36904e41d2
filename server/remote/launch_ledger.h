// What is known of a server's launches, and what follows from each list that the engine gives: what
// is to be told of them, which have ended, which are to be cancelled. Knows no engine, clock or
// thread.
//
// A launch is a watched one while somebody is to be told of its end. One that is to be cancelled
// stays here until the engine lists it as ended or no longer at all, and is cancelled again from
// time to time until then. One of this server that nobody knows is cancelled, too: it was cut off.
#ifndef ATELIER_SERVER_REMOTE_LAUNCH_LEDGER_H_
#define ATELIER_SERVER_REMOTE_LAUNCH_LEDGER_H_

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/jobs/executor.h"
#include "server/remote/engine.h"
#include "server/remote/engine_observer.h"

namespace atelier::remote {

// Not thread-safe. Times are by Clock::Elapsed.
class LaunchLedger {
 public:
  struct Options {
    // The names of this server's launches begin with it.
    std::string prefix;
    // A launch for people, by its id.
    std::function<std::string(absl::string_view id)> title;
    // Between two tries to cancel the same launch.
    absl::Duration cancel_interval = absl::Seconds(5);
    // A launch that the engine says it cannot run is given up when it says so as often in a row:
    // while a controller starts it may not know its nodes.
    int refusals = 3;
    // A launch has ended without a trace when so many lists in a row lack it.
    int absences = 2;
  };

  // What follows from a list.
  struct Findings {
    std::vector<std::pair<std::string, jobs::LaunchStatus>> news;  // By handle.
    // Watched launches that have ended, to be told of and forgotten, and how by the list; nothing
    // if it lacks them.
    std::vector<std::pair<LaunchKey, std::optional<jobs::ProcessEnd>>> ended;
    std::vector<ListedLaunch> cancel;
    std::vector<std::string> unknown;  // Names of launches that nobody knew.
  };

  explicit LaunchLedger(Options options) : options_(std::move(options)) {}

  // Between the two a launch of this name is not an unknown one.
  void BeginLaunch(const std::string& name) { launching_.insert(name); }
  void EndLaunch(const std::string& name) { launching_.erase(name); }

  // Watches a launch, of which `told` was said.
  void Watch(const LaunchKey& key, const jobs::LaunchStatus& told, absl::Duration now);
  void Forget(const std::string& handle) { launches_.erase(handle); }
  // The launch is to be cancelled.
  void Doom(const std::string& handle);

  // Takes a list that was asked for at `asked`.
  Findings Take(const std::vector<ListedLaunch>& list, absl::Duration asked, absl::Duration now);
  // The engine gave none: what pending launches are told.
  Findings TakeSilence(absl::string_view why);

  bool empty() const { return launches_.empty(); }
  // Of those that have not ended, also of those that are to be cancelled.
  EngineLoad Load() const;

 private:
  struct Launch {
    LaunchKey key;
    absl::Duration since;                               // When it was put here.
    std::string told = {};                              // What was said last.
    jobs::LaunchStatus status = jobs::LaunchPending();  // Listed last.
    bool watched = true;
    bool doomed = false;
    bool ran = false;
    int absent = 0;
    int refused = 0;
    absl::Duration next_cancel = -absl::InfiniteDuration();
  };

  void AdoptUnknown(const std::vector<ListedLaunch>& list, absl::Duration now, Findings* findings);
  // False if the launch is done with.
  bool TakeOne(const ListedLaunch* listed, absl::Duration asked, absl::Duration now, Launch* launch,
               Findings* findings) const;
  // The end of a launch that waits and must not run, if that is so; no end tells nothing.
  void JudgePending(const ListedLaunch& listed, Launch* launch, Findings* findings) const;
  static void Tell(const jobs::LaunchStatus& status, Launch* launch, Findings* findings);

  const Options options_;
  std::map<std::string, Launch> launches_;  // By handle.
  std::set<std::string> launching_;         // Names.
};

}  // namespace atelier::remote

#endif  // ATELIER_SERVER_REMOTE_LAUNCH_LEDGER_H_
