// Trainings side by side: those that differ in nothing but the seed are trials of one
// configuration, whose figures are their mean and standard deviation. Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_COMPARING_COMPARISON_H_
#define ATELIER_CLIENT_COMPARING_COMPARISON_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "atelier/v1/experiment_service.pb.h"
#include "atelier/v1/job.pb.h"
#include "client/calls/spec_fields.h"

namespace atelier::client {

// One training, whether it is a job already or not.
struct Trial {
  std::string job;  // `jobs/{job}`; empty if it is none.
  v1::TrainingSpec spec;
  v1::RunState state = v1::RUN_STATE_UNSPECIFIED;
  std::optional<v1::TrainingResult> result;
  std::optional<v1::EpochMetrics> latest_epoch;  // Of one that trains.
  std::string message;                           // How it ended, if it did not complete.
};

Trial TrialOf(const v1::TrainingJob& job);
std::vector<Trial> TrialsOf(const v1::Experiment& experiment);
// A job that was named and is not there.
Trial MissingTrial(const std::string& job);

// Several measurements of one thing.
struct Sample {
  int count = 0;
  double mean = 0;
  double deviation = 0;  // Standard deviation (divided by n−1); 0 below two measurements.

  // Of the mean; 0 below two measurements.
  double StandardError() const;
};

Sample SampleOf(const std::vector<double>& values);

struct Configuration {
  v1::TrainingSpec spec;  // Without a seed.
  // What its network is called; of different ones of the same name the second is `mine (2)`. Empty
  // if the specification is gone, as that of a deleted job.
  std::string network;
  std::vector<Trial> trials;

  // The results that count, one for each seed: of the completed trials, or where none is, of those
  // stopped early.
  std::vector<const v1::TrainingResult*> Results() const;
  // Their trials.
  std::vector<const Trial*> CountedTrials() const;
  Sample Of(double (v1::TrainingResult::*figure)() const) const;
  // Of a figure that earlier versions did not record, where it was: `has` tells.
  Sample Of(double (v1::TrainingResult::*figure)() const,
            bool (v1::TrainingResult::*has)() const) const;
  int CountOf(v1::RunState state) const;
  bool HasOnlyStopped() const;  // Its results are of trials that were stopped early.
};

struct Comparison {
  std::vector<Configuration> configurations;  // In the order in which they came.
  // In which they differ; the model's name, which only says where a model is kept, and what follows
  // from the preset are left out.
  std::vector<SpecField> differing;
  std::vector<std::string> datasets;  // All there are, sorted.
  // Those whose content changed from one result to the next, sorted.
  std::vector<std::string> changed_datasets;

  std::size_t trials() const;
};

Comparison Compare(std::vector<Trial> trials);

// A sentence where the results are of different data, by name or by checksum; empty where they are
// not.
std::string DataWarning(const Comparison& comparison);

// A configuration in a few words: the network, and the value of what else differs.
std::string LabelOf(const Comparison& comparison, const Configuration& configuration);

// What the validation split says; the test set chooses nothing.
struct Recommendation {
  const Configuration* best = nullptr;  // Highest mean validation accuracy; null if none has any.
  // The smallest (of equals the fastest) whose mean is within one standard error of the best's; the
  // best itself where there is no smaller one or it has one trial alone.
  const Configuration* cheapest = nullptr;
  bool has_error = false;  // The best has several trials, so that there is a standard error.
};

Recommendation Recommend(const Comparison& comparison);
// Of the best configuration the trial with the highest validation accuracy, of equals the first;
// null if no configuration has results.
const Trial* BestTrial(const Comparison& comparison);
// The same in sentences; empty if there is nothing to say.
std::string RecommendationText(const Comparison& comparison);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMPARING_COMPARISON_H_
