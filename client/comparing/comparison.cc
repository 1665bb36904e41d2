#include "client/comparing/comparison.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/calls/arguments.h"
#include "client/calls/spec_fields.h"
#include "client/terminal/figures.h"
#include "proto/lifecycle/lifecycle.h"

namespace atelier::client {
namespace {

// The specification of what trials of one configuration share.
v1::TrainingSpec WithoutSeed(v1::TrainingSpec spec) {
  spec.clear_seed();
  return spec;
}

bool IsCompared(SpecField field) {
  return field->name() != "conv_depth" && field->name() != "model_name" &&
         field->name() != "priority" && field->name() != "slurm_args" && field->name() != "nodes";
}

double ValidationAccuracy(const Configuration& configuration) {
  return configuration.Of(&v1::TrainingResult::validation_accuracy).mean;
}

bool IsCheaper(const Configuration& a, const Configuration& b) {
  const auto cost = [](const Configuration& configuration) {
    return std::pair(configuration.Results().front()->parameter_count(),
                     configuration.Of(&v1::TrainingResult::training_seconds).mean);
  };
  return cost(a) < cost(b);
}

std::vector<std::string> ChangedDatasets(const std::vector<Trial>& trials) {
  std::map<std::string, std::set<std::string>> checksums;
  for (const Trial& trial : trials) {
    // Jobs of before it was recorded have none.
    if (!trial.result.has_value() || trial.result->dataset_checksum().empty()) continue;
    checksums[trial.spec.dataset()].insert(trial.result->dataset_checksum());
  }
  std::vector<std::string> changed;
  for (const auto& [name, of_it] : checksums) {
    if (of_it.size() > 1) changed.push_back(name);
  }
  return changed;
}

// Titles of networks that tell those apart which have the same name.
class NetworkTitles {
 public:
  std::string Of(const v1::TrainingSpec& spec) {
    std::string title = NetworkTitle(spec);
    if (title.empty()) return title;
    // Presets and changes of presets differ in the fields that are compared anyway.
    const bool own = spec.preset().empty() && spec.conv().empty();
    std::vector<std::string>& known = known_[title];
    const std::string layers = own ? spec.network().SerializeAsString() : "";
    const auto place = std::find(known.begin(), known.end(), layers);
    const auto number = place - known.begin() + 1;
    if (place == known.end()) known.push_back(layers);
    if (number > 1) absl::StrAppend(&title, " (", number, ")");
    return title;
  }

 private:
  std::map<std::string, std::vector<std::string>> known_;
};

// A field's value as it is compared.
std::string ComparedText(const Configuration& configuration, SpecField field) {
  std::string text = ValueText(configuration.spec, field);
  return field->name() == "network" && !text.empty() ? configuration.network : text;
}

}  // namespace

Trial TrialOf(const v1::TrainingJob& job) {
  Trial trial{.job = job.name(),
              .spec = job.spec(),
              .state = RunStateOf(job.state()),
              .result = std::nullopt,
              .latest_epoch = std::nullopt,
              .message = ""};
  if (job.has_result()) trial.result = job.result();
  if (job.transitions_size() > 0 && trial.state != v1::RUN_STATE_COMPLETED) {
    trial.message = job.transitions(job.transitions_size() - 1).message();
  }
  return trial;
}

std::vector<Trial> TrialsOf(const v1::Experiment& experiment) {
  std::vector<Trial> trials;
  for (const v1::ExperimentRun& run : experiment.runs()) {
    Trial& trial = trials.emplace_back();
    trial.job = run.job();
    trial.state = run.state();
    if (run.configuration() >= 0 && run.configuration() < experiment.configurations_size()) {
      trial.spec = experiment.configurations(run.configuration());
    }
    trial.spec.set_seed(run.seed());
    if (run.has_result()) trial.result = run.result();
    if (run.has_latest_epoch()) trial.latest_epoch = run.latest_epoch();
    if (run.state() != v1::RUN_STATE_COMPLETED) trial.message = run.message();
  }
  return trials;
}

Trial MissingTrial(const std::string& job) {
  Trial trial;
  trial.job = job;
  trial.state = v1::RUN_STATE_DELETED;
  trial.message = "The server has no such job: it was deleted or never existed.";
  return trial;
}

double Sample::StandardError() const { return count < 2 ? 0 : deviation / std::sqrt(count); }

Sample SampleOf(const std::vector<double>& values) {
  Sample sample;
  sample.count = static_cast<int>(values.size());
  if (values.empty()) return sample;
  sample.mean = std::accumulate(values.begin(), values.end(), 0.0) / sample.count;
  if (sample.count < 2) return sample;
  double squares = 0;
  for (const double value : values) squares += (value - sample.mean) * (value - sample.mean);
  sample.deviation = std::sqrt(squares / (sample.count - 1));
  return sample;
}

int Configuration::CountOf(v1::RunState state) const {
  return static_cast<int>(std::count_if(
      trials.begin(), trials.end(), [state](const Trial& trial) { return trial.state == state; }));
}

std::vector<const Trial*> Configuration::CountedTrials() const {
  std::vector<const Trial*> counted;
  for (const v1::RunState state : {v1::RUN_STATE_COMPLETED, v1::RUN_STATE_STOPPED}) {
    // The same seed gives the same weights, so training it again measures nothing new.
    std::set<std::int64_t> seeds;
    for (const Trial& trial : trials) {
      if (trial.state != state || !trial.result.has_value()) continue;
      if (seeds.insert(trial.spec.seed()).second) counted.push_back(&trial);
    }
    if (!counted.empty()) break;
  }
  return counted;
}

std::vector<const v1::TrainingResult*> Configuration::Results() const {
  std::vector<const v1::TrainingResult*> results;
  for (const Trial* trial : CountedTrials()) results.push_back(&*trial->result);
  return results;
}

bool Configuration::HasOnlyStopped() const {
  return CountOf(v1::RUN_STATE_COMPLETED) == 0 && !Results().empty();
}

Sample Configuration::Of(double (v1::TrainingResult::*figure)() const) const {
  return Of(figure, nullptr);
}

Sample Configuration::Of(double (v1::TrainingResult::*figure)() const,
                         bool (v1::TrainingResult::*has)() const) const {
  std::vector<double> values;
  for (const v1::TrainingResult* result : Results()) {
    if (has == nullptr || (result->*has)()) values.push_back((result->*figure)());
  }
  return SampleOf(values);
}

std::size_t Comparison::trials() const {
  std::size_t count = 0;
  for (const Configuration& configuration : configurations) count += configuration.trials.size();
  return count;
}

Comparison Compare(std::vector<Trial> trials) {
  Comparison comparison;
  comparison.changed_datasets = ChangedDatasets(trials);
  std::map<std::string, std::size_t> places;
  NetworkTitles titles;
  for (Trial& trial : trials) {
    const v1::TrainingSpec spec = WithoutSeed(trial.spec);
    const auto [place, fresh] =
        places.emplace(spec.SerializeAsString(), comparison.configurations.size());
    if (fresh) comparison.configurations.push_back({spec, titles.Of(spec), {}});
    comparison.configurations[place->second].trials.push_back(std::move(trial));
  }
  for (const SpecField field : SpecFields()) {
    std::set<std::string> values;
    for (const Configuration& configuration : comparison.configurations) {
      // What was deleted has no specification, so it differs in nothing.
      if (configuration.network.empty()) continue;
      values.insert(ComparedText(configuration, field));
    }
    if (field->name() == "dataset") comparison.datasets.assign(values.begin(), values.end());
    if (values.size() > 1 && IsCompared(field)) comparison.differing.push_back(field);
  }
  return comparison;
}

std::string DataWarning(const Comparison& comparison) {
  if (comparison.datasets.size() > 1) {
    return absl::StrCat("Different data sets (", absl::StrJoin(comparison.datasets, ", "),
                        "): these accuracies cannot be compared.");
  }
  if (comparison.changed_datasets.empty()) return "";
  return absl::StrCat("The content of ", absl::StrJoin(comparison.changed_datasets, ", "),
                      " changed between these runs: their accuracies cannot be compared.");
}

std::string LabelOf(const Comparison& comparison, const Configuration& configuration) {
  if (configuration.network.empty()) {
    return configuration.trials.empty() ? "?" : std::string(Leaf(configuration.trials[0].job));
  }
  std::string label = configuration.network;
  for (const SpecField field : comparison.differing) {
    if (field->name() == "preset" || field->name() == "network") continue;
    const std::string value = ValueText(configuration.spec, field);
    absl::StrAppend(&label, ", ", TitleOf(field), " ", value.empty() ? "none" : value);
  }
  return label;
}

Recommendation Recommend(const Comparison& comparison) {
  Recommendation recommendation;
  // Other images are another question.
  if (!DataWarning(comparison).empty()) return recommendation;
  for (const Configuration& configuration : comparison.configurations) {
    if (configuration.Results().empty()) continue;
    if (recommendation.best == nullptr ||
        ValidationAccuracy(configuration) > ValidationAccuracy(*recommendation.best)) {
      recommendation.best = &configuration;
    }
  }
  if (recommendation.best == nullptr) return recommendation;
  const Sample best = recommendation.best->Of(&v1::TrainingResult::validation_accuracy);
  recommendation.has_error = best.count > 1;
  recommendation.cheapest = recommendation.best;
  for (const Configuration& configuration : comparison.configurations) {
    if (configuration.Results().empty() || !recommendation.has_error) continue;
    if (ValidationAccuracy(configuration) >= best.mean - best.StandardError() &&
        IsCheaper(configuration, *recommendation.cheapest)) {
      recommendation.cheapest = &configuration;
    }
  }
  return recommendation;
}

const Trial* BestTrial(const Comparison& comparison) {
  const Configuration* const configuration = Recommend(comparison).best;
  if (configuration == nullptr) return nullptr;
  const std::vector<const Trial*> trials = configuration->CountedTrials();
  return *std::max_element(trials.begin(), trials.end(), [](const Trial* a, const Trial* b) {
    return a->result->validation_accuracy() < b->result->validation_accuracy();
  });
}

std::string RecommendationText(const Comparison& comparison) {
  const Recommendation found = Recommend(comparison);
  if (found.best == nullptr || comparison.configurations.size() < 2) return "";
  const auto describe = [&](const Configuration& configuration) {
    return absl::StrCat(LabelOf(comparison, configuration), " (validation ",
                        Percent(ValidationAccuracy(configuration)), ", test ",
                        Percent(configuration.Of(&v1::TrainingResult::test_accuracy).mean), ", ",
                        Count(configuration.Results().front()->parameter_count()), " parameters)");
  };
  std::string text = absl::StrCat("Best on the validation images: ", describe(*found.best), ".");
  if (!found.has_error) {
    return text + " It has only one seed, so its random variation is unknown.";
  }
  const Sample best = found.best->Of(&v1::TrainingResult::validation_accuracy);
  const std::string error = Percent(best.StandardError());
  if (found.cheapest == found.best) {
    return absl::StrCat(text, " Nothing cheaper is within one standard error (", error, ") of it.");
  }
  return absl::StrCat(text, " Cheapest within one standard error (", error,
                      ") of it: ", describe(*found.cheapest), ".");
}

}  // namespace atelier::client
