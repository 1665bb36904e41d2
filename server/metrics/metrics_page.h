// The page that Prometheus scrapes, over HTTP or HTTPS at /metrics.
#ifndef ATELIER_SERVER_METRICS_METRICS_PAGE_H_
#define ATELIER_SERVER_METRICS_METRICS_PAGE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "prometheus/collectable.h"
#include "prometheus/registry.h"
#include "proto/tls/pem_files.h"
#include "server/base/mutex.h"
#include "server/base/tick_thread.h"

namespace atelier::metrics {

// Thread-safe. Reporters add metrics to the registry, or a collectable of their own that is asked
// at every scrape.
//
// A few threads answer scrapes; a few more connections may wait for them and the rest waits in the
// system's queue: scrapers that are slow, or many, take no more than that from the server.
class MetricsPage {
 public:
  struct Options {
    std::string host;          // A name or an IP address, IPv6 in brackets.
    int port = 0;              // 0 takes a free one.
    std::string version = {};  // Of Atelier, for atelier_build_info.
    std::string libtorch_version = {};
    // A scraper that is silent, or takes nothing of the answer, for so long is hung up on. In whole
    // seconds, at least one.
    absl::Duration patience = absl::Seconds(5);
    // Whether who shows this token, as the password of basic authentication or as a bearer, may
    // read the page; empty for everybody. Called by several threads.
    std::function<bool(const std::string& token)> admit = {};
    // What to show for HTTPS; empty for HTTP. Called at the start, where an error is Start's, and
    // every `renewal`, where what is new is shown from then on and an error changes nothing.
    std::function<absl::StatusOr<tls::Identity>()> identity = {};
    absl::Duration renewal = absl::Seconds(5);
  };

  // UNAVAILABLE, naming the address, if it cannot listen there; INVALID_ARGUMENT if the certificate
  // cannot be used.
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
  class Daemon;

  MetricsPage(const Options& options, int listener, int port);

  // Serves with this identity from now on; connections that there are end.
  absl::Status Serve(tls::Identity identity);
  // What TickThread calls.
  absl::Duration Renew();
  std::string Text() const;

  const Options options_;
  const std::shared_ptr<prometheus::Registry> registry_;
  const int listener_;
  const int port_;
  mutable Mutex mutex_;
  std::vector<std::weak_ptr<prometheus::Collectable>> collectables_ ABSL_GUARDED_BY(mutex_);
  tls::Identity identity_;  // That of `daemon_`; of the renewing thread, once it runs.
  std::unique_ptr<Daemon> daemon_;
  std::unique_ptr<TickThread> renewing_;
};

}  // namespace atelier::metrics

#endif  // ATELIER_SERVER_METRICS_METRICS_PAGE_H_
