// A gauge without labels. Thread-safe: a free function.
#ifndef ATELIER_SERVER_METRICS_PLAIN_GAUGE_H_
#define ATELIER_SERVER_METRICS_PLAIN_GAUGE_H_

#include "prometheus/gauge.h"
#include "prometheus/registry.h"

namespace atelier::metrics {

// `registry` owns it.
inline prometheus::Gauge& AddGauge(prometheus::Registry* registry, const char* name,
                                   const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(*registry).Add({});
}

}  // namespace atelier::metrics

#endif  // ATELIER_SERVER_METRICS_PLAIN_GAUGE_H_
