// What lists of Jobs and pods say of launches: pure functions on JSON.
#ifndef ATELIER_SERVER_KUBERNETES_LISTING_H_
#define ATELIER_SERVER_KUBERNETES_LISTING_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"
#include "server/remote/engine.h"

namespace atelier::kubernetes {

struct ListedJob {
  remote::ListedLaunch launch;  // Its id is the Job's name.
  std::string uid;
  // "no pod" or "1 of 2 pods", if it lacks some and nothing of it says why; events may.
  std::string lacking = {};
};

// A launch for people, by its Job's name.
std::string TitleOf(absl::string_view job);

// The launches in a JobList, by the PodList of the same label; `now` is the real time. Jobs without
// the name of a launch are left out.
std::vector<ListedJob> LaunchesOf(const nlohmann::json& jobs, const nlohmann::json& pods,
                                  absl::Time now);

// Why a Job has no pod, by the events about it; empty if they do not say.
std::string WhyNoPod(const nlohmann::json& events);

}  // namespace atelier::kubernetes

#endif  // ATELIER_SERVER_KUBERNETES_LISTING_H_
