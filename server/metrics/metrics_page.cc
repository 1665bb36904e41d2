#include "server/metrics/metrics_page.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "prometheus/gauge.h"

namespace atelier::metrics {
namespace {

constexpr int kThreads = 4;             // Scrapes answered at once.
constexpr int kWaitingConnections = 8;  // For one of the threads.

// Connects and hangs up; whether that works is all the same.
void Knock(const std::string& host, int port) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* address = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &address) != 0) return;
  const int connection = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  [[maybe_unused]] const int result = connect(connection, address->ai_addr, address->ai_addrlen);
  close(connection);
  freeaddrinfo(address);
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsPage>> MetricsPage::Start(const Options& options) {
  const std::string address = absl::StrCat(options.host, ":", options.port);
  std::unique_ptr<MetricsPage> page;
  try {
    auto exposer = std::make_unique<prometheus::Exposer>(std::vector<std::string>{
        "listening_ports", address,                             //
        "num_threads", absl::StrCat(kThreads),                  //
        "connection_queue", absl::StrCat(kWaitingConnections),  //
        "request_timeout_ms", absl::StrCat(absl::ToInt64Milliseconds(options.patience))});
    const std::vector<int> ports = exposer->GetListeningPorts();
    if (ports.empty()) return absl::InternalError("The metrics page listens on no port.");
    if (options.admit) {
      exposer->RegisterAuth(
          [admit = options.admit](const std::string&, const std::string& password) {
            return admit(password);
          },
          "Atelier: any name, a token as the password");
    }
    page.reset(new MetricsPage(std::move(exposer), options.host, ports.front()));
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

MetricsPage::MetricsPage(std::unique_ptr<prometheus::Exposer> exposer, std::string host, int port)
    : registry_(std::make_shared<prometheus::Registry>()),
      exposer_(std::move(exposer)),
      host_(std::move(host)),
      port_(port) {
  Add(registry_);
}

// The HTTP server notices that it has to end when a connection comes, or else within two seconds.
MetricsPage::~MetricsPage() {
  std::atomic<bool> ended = false;
  std::thread ending([this, &ended] {
    exposer_.reset();
    ended = true;
  });
  while (!ended) {
    Knock(host_, port_);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ending.join();
}

void MetricsPage::Add(const std::shared_ptr<prometheus::Collectable>& collectable) {
  exposer_->RegisterCollectable(collectable);
}

}  // namespace atelier::metrics
