// Metrics as a message, for callers who do not scrape. Thread-safe: free functions.
#ifndef ATELIER_SERVER_METRICS_SNAPSHOT_H_
#define ATELIER_SERVER_METRICS_SNAPSHOT_H_

#include <vector>

#include "atelier/v1/monitoring_service.pb.h"
#include "prometheus/metric_family.h"

namespace atelier::metrics {

// Adds the families that the request asks for, a sample for each series; histograms and summaries
// are told by their count and sum.
void AddSamples(const std::vector<prometheus::MetricFamily>& families,
                const v1::GetMetricsRequest& request, v1::GetMetricsResponse* response);

}  // namespace atelier::metrics

#endif  // ATELIER_SERVER_METRICS_SNAPSHOT_H_
