// The page that Prometheus scrapes, over HTTP at /metrics.
#ifndef ATELIER_SERVER_METRICS_METRICS_PAGE_H_
#define ATELIER_SERVER_METRICS_METRICS_PAGE_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "prometheus/collectable.h"
#include "prometheus/exposer.h"
#include "prometheus/registry.h"

namespace atelier::metrics {

// Thread-safe. Reporters add metrics to the registry, or a collectable of their own that is asked
// at every scrape.
//
// A few threads answer scrapes, a few more connections wait for them and the rest waits in the
// system's queue: scrapers that are slow, or many, take no more than that from the server.
class MetricsPage {
 public:
  struct Options {
    std::string host;     // An IPv4 address; Debian's HTTP server knows no IPv6.
    int port = 0;         // 0 takes a free one.
    std::string version;  // Of Atelier, for atelier_build_info.
    std::string libtorch_version;
    // A scraper that does not send its request or take the answer for so long is hung up on.
    absl::Duration patience = absl::Seconds(5);
    // Whether who shows this token, as the password of basic authentication, may read the page;
    // empty for everybody. Called by several threads.
    std::function<bool(const std::string& token)> admit = {};
  };

  // UNAVAILABLE, naming the address, if it cannot listen there.
  static absl::StatusOr<std::unique_ptr<MetricsPage>> Start(const Options& options);
  ~MetricsPage();
  MetricsPage(const MetricsPage&) = delete;
  MetricsPage& operator=(const MetricsPage&) = delete;

  // The port that was really taken.
  int port() const { return port_; }

  // Metrics that stay for the life of the server.
  prometheus::Registry& registry() { return *registry_; }
  // Asked at every scrape for as long as it lives.
  void Add(const std::shared_ptr<prometheus::Collectable>& collectable);

 private:
  MetricsPage(std::unique_ptr<prometheus::Exposer> exposer, std::string host, int port);

  const std::shared_ptr<prometheus::Registry> registry_;
  std::unique_ptr<prometheus::Exposer> exposer_;
  const std::string host_;
  const int port_;
};

}  // namespace atelier::metrics

#endif  // ATELIER_SERVER_METRICS_METRICS_PAGE_H_
