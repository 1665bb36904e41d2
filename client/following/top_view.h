// The contents of `atelier top` as lines of text. Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_FOLLOWING_TOP_VIEW_H_
#define ATELIER_CLIENT_FOLLOWING_TOP_VIEW_H_

#include <string>
#include <vector>

#include "atelier/v1/job.pb.h"
#include "client/following/metric_samples.h"
#include "client/terminal/style.h"

namespace atelier::client {

// The server at two times; rates are between them.
struct ServerLoad {
  std::string address;
  MetricSamples before;
  MetricSamples now;
  // Those that have not ended, the newest first.
  std::vector<v1::TrainingJob> jobs;
};

// The metrics that it shows, for GetMetrics.
std::vector<std::string> TopMetricNames();

// At most `height` lines, without newlines; none wider than `width` if possible. Jobs and models
// that do not fit are counted in an extra line.
std::vector<std::string> RenderTop(const ServerLoad& load, const Style& style, int width,
                                   int height);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_FOLLOWING_TOP_VIEW_H_
