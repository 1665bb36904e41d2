// The data of a report, fetched from the server. Used by one thread.
#ifndef ATELIER_CLIENT_REPORT_REPORT_DATA_H_
#define ATELIER_CLIENT_REPORT_REPORT_DATA_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "atelier/v1/experiment_service.pb.h"
#include "atelier/v1/job.pb.h"
#include "atelier/v1/training_service.pb.h"
#include "client/calls/session.h"
#include "client/comparing/comparison.h"
#include "client/report/model_pictures.h"

namespace atelier::client::report {

// A resource sample and when it was taken.
struct Measured {
  double seconds = 0;  // Since the job's first event.
  v1::ResourceSample sample;
};

// A misclassified image.
struct WrongImage {
  v1::Prediction prediction;
  std::string png;  // Empty if the server no longer has the data set.
  // For the predicted class; of the first images of a job, as many as the page has room for.
  std::optional<v1::Explanation> evidence = {};
};

// Two classes that are often confused.
struct ConfusedPair {
  int true_class = 0;
  int predicted_class = 0;
  std::int64_t count = 0;
  std::vector<WrongImage> images;  // Most confidently wrong first.
};

// One training or evaluation looked at closely.
struct CloseLook {
  v1::TrainingJob job;
  std::vector<Measured> resources;
  std::optional<v1::ConfusionMatrix> confusion;
  std::vector<ConfusedPair> pairs;  // Most often confused first.
};

// One of the networks, worked out for the images of its data set.
struct NetworkLook {
  std::string title;
  v1::NetworkDescription network;
  std::string problem;  // Why it cannot be drawn; empty if it can.
};

// Networks that are drawn; of more only their number is told.
inline constexpr std::size_t kMaxNetworks = 8;

struct ReportData {
  std::string title;
  absl::Time made;
  std::string client_version;
  std::map<std::string, std::string> server_versions;  // As atelier_build_info has them.
  std::vector<v1::Experiment> experiments;
  Comparison comparison;
  std::map<std::string, v1::TrainingJob> jobs;                  // By name.
  std::map<std::string, std::vector<v1::EpochMetrics>> epochs;  // By job; withdrawn ones left out.
  // Of each configuration its best trial by validation loss, best first, those with results before
  // others; not more than kMaxCloseLooks.
  std::vector<CloseLook> close_looks;
  std::vector<CloseLook> evaluations;  // In the order of their names' mention.
  // Of the first of those whose model has convolutions.
  std::optional<ModelPictures> pictures;
  std::vector<NetworkLook> networks;  // Each once, in the order of the configurations.
};

inline constexpr std::size_t kMaxCloseLooks = 6;

// network_section.cc
absl::StatusOr<std::vector<NetworkLook>> GatherNetworks(Session& session,
                                                        const Comparison& comparison);

absl::StatusOr<ReportData> GatherReport(Session& session, const std::vector<std::string>& names);

}  // namespace atelier::client::report

#endif  // ATELIER_CLIENT_REPORT_REPORT_DATA_H_
