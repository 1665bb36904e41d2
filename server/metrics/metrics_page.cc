#include "server/metrics/metrics_page.h"

#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "prometheus/gauge.h"
#include "prometheus/text_serializer.h"

namespace atelier::metrics {
namespace {

constexpr unsigned kThreads = 4;           // Scrapes answered at once.
constexpr unsigned kConnections = 12;      // With those that wait for one of the threads.
constexpr size_t kRequestBytes = 1 << 14;  // Line and headers of a request.

// A listening socket for it, and its port in `port`; -1 if there can be none.
int Listen(std::string host, int* port) {
  if (!host.empty() && host.front() == '[') host = host.substr(1, host.size() - 2);
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(*port).c_str(), &hints, &found) != 0) return -1;
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> address(found, freeaddrinfo);
  const int listener = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int yes = 1;
  sockaddr_storage bound = {};
  socklen_t length = sizeof(bound);
  if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
      bind(listener, address->ai_addr, address->ai_addrlen) != 0 || listen(listener, 64) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&bound), &length) != 0) {
    if (listener >= 0) close(listener);
    return -1;
  }
  *port = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port
                                            : reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
  return listener;
}

// The token that a request shows: that of `Bearer TOKEN`, or the password of `Basic BASE64`.
std::string TokenOf(MHD_Connection* connection) {
  const char* header =
      MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
  absl::string_view words = header != nullptr ? header : "";
  if (absl::StartsWithIgnoreCase(words, "bearer ")) {
    return std::string(absl::StripAsciiWhitespace(words.substr(7)));
  }
  std::string name_and_password;
  if (!absl::StartsWithIgnoreCase(words, "basic ") ||
      !absl::Base64Unescape(words.substr(6), &name_and_password)) {
    return "";
  }
  const size_t colon = name_and_password.find(':');
  return colon == std::string::npos ? "" : name_and_password.substr(colon + 1);
}

MHD_Result Answer(MHD_Connection* connection, unsigned status, std::string text,
                  const char* header = nullptr, const char* value = nullptr) {
  MHD_Response* response =
      MHD_create_response_from_buffer(text.size(), text.data(), MHD_RESPMEM_MUST_COPY);
  if (response == nullptr) return MHD_NO;
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; version=0.0.4");
  if (header != nullptr) MHD_add_response_header(response, header, value);
  const MHD_Result queued = MHD_queue_response(connection, status, response);
  MHD_destroy_response(response);
  return queued;
}

}  // namespace

// An HTTP server on the page's socket, from construction to destruction.
class MetricsPage::Daemon {
 public:
  Daemon(const MetricsPage* page, const tls::Identity& identity)
      : page_(page), secure_(!identity.key.empty()) {
    const auto seconds = static_cast<unsigned>(std::clamp<int64_t>(
        absl::ToInt64Seconds(page->options_.patience + absl::Milliseconds(999)), 1, 3600));
    std::vector<MHD_OptionItem> options = {
        {MHD_OPTION_LISTEN_SOCKET, dup(page->listener_), nullptr},
        {MHD_OPTION_THREAD_POOL_SIZE, kThreads, nullptr},
        {MHD_OPTION_CONNECTION_LIMIT, kConnections, nullptr},
        {MHD_OPTION_CONNECTION_TIMEOUT, seconds, nullptr},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, kRequestBytes, nullptr}};
    if (secure_) {
      const auto text = [](const char* words) { return const_cast<char*>(words); };
      options.push_back({MHD_OPTION_HTTPS_MEM_CERT, 0, text(identity.certificates.c_str())});
      options.push_back({MHD_OPTION_HTTPS_MEM_KEY, 0, text(identity.key.c_str())});
      options.push_back(
          {MHD_OPTION_HTTPS_PRIORITIES, 0, text("SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2")});
    }
    options.push_back({MHD_OPTION_END, 0, nullptr});
    daemon_ = MHD_start_daemon(
        MHD_USE_AUTO_INTERNAL_THREAD | MHD_USE_ITC | (secure_ ? MHD_USE_TLS : 0), /*port=*/0,
        nullptr, nullptr, &Daemon::Called, this, MHD_OPTION_ARRAY, options.data(), MHD_OPTION_END);
    if (daemon_ == nullptr) close(static_cast<int>(options.front().value));
  }

  ~Daemon() {
    if (daemon_ == nullptr) return;
    // The socket is the page's, and so is what waits in its queue.
    close(MHD_quiesce_daemon(daemon_));
    MHD_stop_daemon(daemon_);
  }

  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  bool started() const { return daemon_ != nullptr; }

 private:
  static MHD_Result Called(void* self, MHD_Connection* connection, const char* url,
                           const char* method, const char* /*version*/, const char* /*data*/,
                           size_t* data_size, void** /*state*/) {
    *data_size = 0;  // What a request brings is read and thrown away.
    return static_cast<const Daemon*>(self)->Respond(connection, url, method);
  }

  MHD_Result Respond(MHD_Connection* connection, absl::string_view url,
                     absl::string_view method) const {
    if (method != MHD_HTTP_METHOD_GET && method != MHD_HTTP_METHOD_HEAD) {
      return Answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "The page is read with GET.\n",
                    MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }
    if (url != "/metrics") {
      return Answer(connection, MHD_HTTP_NOT_FOUND, "There is only /metrics here.\n");
    }
    const auto& admit = page_->options_.admit;
    if (admit && !admit(TokenOf(connection))) {
      return Answer(connection, MHD_HTTP_UNAUTHORIZED,
                    "Show a token: as a bearer, or as the password of any name.\n",
                    MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Basic realm=\"Atelier\"");
    }
    return Answer(connection, MHD_HTTP_OK, page_->Text());
  }

  const MetricsPage* const page_;
  const bool secure_;
  MHD_Daemon* daemon_;
};

absl::StatusOr<std::unique_ptr<MetricsPage>> MetricsPage::Start(const Options& options) {
  tls::Identity identity;
  if (options.identity) {
    auto read = options.identity();
    if (!read.ok()) return read.status();
    identity = *std::move(read);
  }
  int port = options.port;
  const int listener = Listen(options.host, &port);
  const std::string address = absl::StrCat(options.host, ":", options.port);
  if (listener < 0) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", address,
                                               " for the metrics page: the port is taken or the "
                                               "address is not this machine's"));
  }
  std::unique_ptr<MetricsPage> page(new MetricsPage(options, listener, port));
  absl::Status served = page->Serve(std::move(identity));
  if (!served.ok()) return served;
  if (options.identity) {
    page->renewing_ = std::make_unique<TickThread>(TickThread::Options{.name = "metrics-tls"},
                                                   [page = page.get()] { return page->Renew(); });
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

MetricsPage::MetricsPage(const Options& options, int listener, int port)
    : options_(options),
      registry_(std::make_shared<prometheus::Registry>()),
      listener_(listener),
      port_(port) {
  Add(registry_);
}

MetricsPage::~MetricsPage() {
  renewing_.reset();
  daemon_.reset();
  close(listener_);
}

absl::Status MetricsPage::Serve(tls::Identity identity) {
  auto daemon = std::make_unique<Daemon>(this, identity);
  if (!daemon->started()) {
    return absl::InvalidArgumentError(
        "the metrics page cannot be served with this certificate and key");
  }
  daemon_ = std::move(daemon);
  identity_ = std::move(identity);
  return absl::OkStatus();
}

absl::Duration MetricsPage::Renew() {
  auto read = options_.identity();
  if (read.ok() && (read->certificates != identity_.certificates || read->key != identity_.key)) {
    Serve(*std::move(read)).IgnoreError();
  }
  return options_.renewal;
}

void MetricsPage::Add(const std::shared_ptr<prometheus::Collectable>& collectable) {
  const MutexLock lock(&mutex_);
  collectables_.push_back(collectable);
}

std::string MetricsPage::Text() const {
  std::vector<std::weak_ptr<prometheus::Collectable>> collectables;
  {
    const MutexLock lock(&mutex_);
    collectables = collectables_;
  }
  std::vector<prometheus::MetricFamily> families;
  for (const auto& weak : collectables) {
    const auto collectable = weak.lock();
    if (collectable == nullptr) continue;
    auto more = collectable->Collect();
    std::move(more.begin(), more.end(), std::back_inserter(families));
  }
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, families);
  return std::move(text).str();
}

}  // namespace atelier::metrics
