#include "server/metrics/metrics_page.h"

#include <exception>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "prometheus/gauge.h"

namespace atelier::metrics {

absl::StatusOr<std::unique_ptr<MetricsPage>> MetricsPage::Start(const Options& options) {
  const std::string address = absl::StrCat(options.host, ":", options.port);
  std::unique_ptr<MetricsPage> page;
  try {
    auto exposer = std::make_unique<prometheus::Exposer>(address);
    const std::vector<int> ports = exposer->GetListeningPorts();
    if (ports.empty()) return absl::InternalError("The metrics page listens on no port.");
    page.reset(new MetricsPage(std::move(exposer), ports.front()));
  } catch (const std::exception&) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", address,
                                               " for the metrics page: the port is taken or the "
                                               "address is not this machine's"));
  }
  prometheus::BuildGauge()
      .Name("atelier_build_info")
      .Help("Always 1; the labels say what runs.")
      .Register(page->registry())
      .Add({{"version", options.version},
            {"libtorch", options.libtorch_version},
            {"compiler", absl::StrCat(__VERSION__)}})
      .Set(1);
  return page;
}

MetricsPage::MetricsPage(std::unique_ptr<prometheus::Exposer> exposer, int port)
    : registry_(std::make_shared<prometheus::Registry>()),
      exposer_(std::move(exposer)),
      port_(port) {
  Add(registry_);
}

void MetricsPage::Add(const std::shared_ptr<prometheus::Collectable>& collectable) {
  exposer_->RegisterCollectable(collectable);
}

}  // namespace atelier::metrics
