#include "server/jobs/experiment_request.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/jobs/resource_names.h"

namespace atelier::jobs {
namespace {

// Mistakes beyond these are not reported.
constexpr std::size_t kMaxViolations = 20;

class Resolution {
 public:
  Resolution(const v1::StartExperimentRequest& request, const SpecResolver& resolver)
      : request_(request), resolver_(resolver) {}

  absl::StatusOr<ResolvedExperiment> Run() {
    resolved_.base_name = BaseName(request_);
    ResolveSeeds();
    if (CheckSize()) ResolveConfigurations();
    if (wrong_.size() > kMaxViolations) wrong_.resize(kMaxViolations);
    if (!wrong_.empty()) return InvalidFields(wrong_);
    return std::move(resolved_);
  }

 private:
  void Wrong(std::string field, std::string description) {
    wrong_.push_back({std::move(field), std::move(description)});
  }

  void ResolveSeeds() {
    resolved_.seeds.assign(request_.seeds().begin(), request_.seeds().end());
    std::set<std::int64_t> known;
    for (const std::int64_t seed : resolved_.seeds) {
      if (!known.insert(seed).second) {
        Wrong("seeds", absl::StrCat("The seed ", seed, " is given twice; give each seed once."));
        return;
      }
    }
  }

  bool CheckSize() {
    const std::int64_t seeds = std::max(1, request_.seeds_size());
    const std::int64_t runs = request_.configurations_size() * seeds;
    if (runs == 0) {
      Wrong("configurations", "There is no configuration; give at least one.");
    } else if (runs > kMaxRuns) {
      Wrong("configurations", absl::StrCat(request_.configurations_size(), " configurations with ",
                                           seeds, " seeds each are ", runs,
                                           " runs; an experiment has at most ", kMaxRuns, "."));
    }
    return runs > 0 && runs <= kMaxRuns;
  }

  void ResolveConfigurations() {
    for (int i = 0; i < request_.configurations_size(); ++i) {
      if (wrong_.size() > kMaxViolations) return;
      const std::string place = absl::StrCat("configurations[", i, "]");
      if (request_.configurations(i).has_seed()) {
        Wrong(place + ".seed", "A configuration must not have a seed; give all seeds in `seeds`.");
      }
      v1::StartTrainingRequest training;
      *training.mutable_spec() = request_.configurations(i);
      training.set_base_name(resolved_.base_name);
      training.set_request_id(request_.request_id());
      auto resolved = resolver_.Resolve(training);
      if (!resolved.ok()) {
        TakeViolations(resolved.status(), place);
        continue;
      }
      if (resolved_.seeds.empty()) resolved_.seeds.push_back(resolved->spec.seed());
      resolved->spec.clear_seed();
      CheckDifferent(resolved->spec, i);
      resolved_.configurations.push_back(std::move(resolved->spec));
    }
  }

  void TakeViolations(const absl::Status& status, const std::string& place) {
    for (const FieldViolation& violation : ViolationsOf(status)) {
      absl::string_view field = violation.field;
      const bool own = absl::ConsumePrefix(&field, "spec.");
      // What all configurations share is told once.
      if (!own && place != "configurations[0]") continue;
      Wrong(own ? absl::StrCat(place, ".", field) : std::string(field), violation.description);
    }
  }

  void CheckDifferent(const v1::TrainingSpec& spec, int index) {
    const auto [before, fresh] = known_.emplace(spec.SerializeAsString(), index);
    if (fresh) return;
    Wrong(absl::StrCat("configurations[", index, "]"),
          absl::StrCat("Configuration ", index, " is the same as ", before->second,
                       " with defaults filled in; give each once."));
  }

  const v1::StartExperimentRequest& request_;
  const SpecResolver& resolver_;
  ResolvedExperiment resolved_;
  std::vector<FieldViolation> wrong_;
  absl::flat_hash_map<std::string, int> known_;  // Configurations, and which has them.
};

}  // namespace

std::string BaseName(const v1::StartExperimentRequest& request) {
  return request.base_name().empty() ? "sweep" : request.base_name();
}

absl::StatusOr<ResolvedExperiment> ResolveExperiment(const v1::StartExperimentRequest& request,
                                                     const SpecResolver& resolver) {
  return Resolution(request, resolver).Run();
}

}  // namespace atelier::jobs
