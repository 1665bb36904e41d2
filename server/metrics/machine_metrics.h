// The machine, or as much of it as a control group leaves: processor, memory, storage, network.
#ifndef ATELIER_SERVER_METRICS_MACHINE_METRICS_H_
#define ATELIER_SERVER_METRICS_MACHINE_METRICS_H_

#include <string>
#include <vector>

#include "prometheus/collectable.h"
#include "server/base/cgroup.h"

namespace atelier::metrics {

// Thread-safe. Each number is the control group's where that counts it, else the operating
// system's, else it is left out.
class MachineMetrics final : public prometheus::Collectable {
 public:
  struct Options {
    std::string data_dir;   // Whose file system is watched.
    std::string root = {};  // Stands before /proc and /sys; for tests.
  };

  explicit MachineMetrics(Options options);
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const Options options_;
  const ControlGroup group_;
};

}  // namespace atelier::metrics

#endif  // ATELIER_SERVER_METRICS_MACHINE_METRICS_H_
