#include "server/http/curl_transport.h"

#include <curl/curl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace atelier::http {
namespace {

constexpr std::size_t kMaxHeaders = 100;
constexpr long kStallBytesPerSecond = 1024;
constexpr long kBufferBytes = 512 << 10;

// Once for the process; libcurl wants it before threads use it.
void InitializeCurl() {
  static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(initialized);
}

}  // namespace

// One request, from its handle to its end.
struct CurlTransport::Transfer {
  Transfer(const CurlTransport* transport, const Request& what, CURL* with)
      : owner(transport), request(what), handle(with) {}
  ~Transfer() { curl_slist_free_all(headers); }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  static curl_socket_t OpenSocket(void* self, curlsocktype /*purpose*/, curl_sockaddr* address) {
    auto* const transfer = static_cast<Transfer*>(self);
    const auto& allowed = transfer->owner->options_.allowed;
    if (allowed && !allowed(address->addr)) {
      transfer->refused = true;
      return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  }

  static std::size_t Send(char* to, std::size_t size, std::size_t count, void* self) {
    auto* const transfer = static_cast<Transfer*>(self);
    const Request& request = transfer->request;
    const std::int64_t left = transfer->BodyBytes() - transfer->sent;
    const auto wanted = static_cast<std::size_t>(
        std::min<std::int64_t>(left, static_cast<std::int64_t>(size * count)));
    if (wanted == 0) return 0;
    std::size_t got = wanted;
    if (request.reader) {
      auto read = request.reader(transfer->sent, to, wanted);
      if (read.ok() && *read == 0) read = absl::DataLossError("the file became shorter");
      if (!read.ok()) {
        transfer->failure = read.status();
        return CURL_READFUNC_ABORT;
      }
      got = *read;
    } else {
      std::memcpy(to, request.body.data() + transfer->sent, wanted);
    }
    transfer->sent += static_cast<std::int64_t>(got);
    return got;
  }

  // For a request that has to be sent once more on another connection.
  static int Seek(void* self, curl_off_t offset, int origin) {
    if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
    static_cast<Transfer*>(self)->sent = offset;
    return CURL_SEEKFUNC_OK;
  }

  // Less than what came ends the transfer.
  static std::size_t Receive(const char* data, std::size_t size, std::size_t count, void* self) {
    auto* const transfer = static_cast<Transfer*>(self);
    std::string& body = transfer->answer.body;
    const std::size_t bytes = size * count;
    if (transfer->request.sink) {
      transfer->enough = !transfer->request.sink(absl::string_view(data, bytes));
      return transfer->enough ? 0 : bytes;
    }
    if (body.size() + bytes > static_cast<std::size_t>(transfer->request.max_answer_bytes)) {
      transfer->too_long = true;
      return 0;
    }
    body.append(data, bytes);
    return bytes;
  }

  static std::size_t Header(const char* data, std::size_t size, std::size_t count, void* self) {
    auto* const transfer = static_cast<Transfer*>(self);
    const absl::string_view line(data, size * count);
    const std::size_t colon = line.find(':');
    // A status line; those of interim answers precede that of the last one.
    if (absl::StartsWith(line, "HTTP/")) transfer->answer.headers.clear();
    if (colon != absl::string_view::npos && transfer->answer.headers.size() < kMaxHeaders) {
      transfer->answer.headers[absl::AsciiStrToLower(line.substr(0, colon))] =
          std::string(absl::StripAsciiWhitespace(line.substr(colon + 1)));
    }
    return size * count;
  }

  // Anything but 0 ends the transfer.
  static int Watch(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Transfer*>(self)->owner->stopped_ ? 1 : 0;
  }

  std::int64_t BodyBytes() const {
    return request.reader ? request.reader_bytes : static_cast<std::int64_t>(request.body.size());
  }

  template <typename Value>
  void Set(CURLoption option, Value value) {
    curl_easy_setopt(handle, option, value);
  }

  void PrepareMethod() {
    const std::string& method = request.method;
    if (method == "HEAD") return Set(CURLOPT_NOBODY, 1L);
    if (method == "GET") return Set(CURLOPT_HTTPGET, 1L);
    Set(CURLOPT_CUSTOMREQUEST, method.c_str());
    if (method == "DELETE") return;
    Set(CURLOPT_UPLOAD, 1L);
    Set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(BodyBytes()));
    Set(CURLOPT_READFUNCTION, &Transfer::Send);
    Set(CURLOPT_READDATA, static_cast<void*>(this));
    Set(CURLOPT_SEEKFUNCTION, &Transfer::Seek);
    Set(CURLOPT_SEEKDATA, static_cast<void*>(this));
  }

  void PrepareLimits() {
    const Options& options = owner->options_;
    Set(CURLOPT_PROTOCOLS_STR, "http,https");
    if (!options.proxies) Set(CURLOPT_PROXY, "");
    if (!options.authorities.empty()) Set(CURLOPT_CAINFO, options.authorities.c_str());
    Set(CURLOPT_NOSIGNAL, 1L);
    Set(CURLOPT_TIMEOUT_MS, options.timeout_ms);
    Set(CURLOPT_CONNECTTIMEOUT_MS, options.connect_timeout_ms);
    Set(CURLOPT_LOW_SPEED_LIMIT, kStallBytesPerSecond);
    Set(CURLOPT_LOW_SPEED_TIME, options.stall_seconds);
    Set(CURLOPT_BUFFERSIZE, kBufferBytes);
    Set(CURLOPT_UPLOAD_BUFFERSIZE, kBufferBytes);
  }

  void Prepare() {
    for (const std::string& header : request.headers) {
      headers = curl_slist_append(headers, header.c_str());
    }
    // Nothing that was not asked for: not every server answers `Expect` at once.
    headers = curl_slist_append(headers, "Expect:");
    Set(CURLOPT_URL, request.url.c_str());
    Set(CURLOPT_HTTPHEADER, headers);
    Set(CURLOPT_USERAGENT, "atelierd");
    Set(CURLOPT_OPENSOCKETFUNCTION, &Transfer::OpenSocket);
    Set(CURLOPT_OPENSOCKETDATA, static_cast<void*>(this));
    Set(CURLOPT_WRITEFUNCTION, &Transfer::Receive);
    Set(CURLOPT_WRITEDATA, static_cast<void*>(this));
    Set(CURLOPT_HEADERFUNCTION, &Transfer::Header);
    Set(CURLOPT_HEADERDATA, static_cast<void*>(this));
    Set(CURLOPT_XFERINFOFUNCTION, &Transfer::Watch);
    Set(CURLOPT_XFERINFODATA, static_cast<void*>(this));
    Set(CURLOPT_NOPROGRESS, 0L);
    PrepareMethod();
    PrepareLimits();
  }

  const CurlTransport* const owner;
  const Request& request;
  CURL* const handle;
  curl_slist* headers = nullptr;
  std::int64_t sent = 0;
  bool refused = false;
  bool too_long = false;
  bool enough = false;
  absl::Status failure;
  Answer answer;
};

CurlTransport::CurlTransport(Options options) : options_(std::move(options)) { InitializeCurl(); }

CurlTransport::~CurlTransport() {
  MutexLock lock(&mutex_);
  for (void* const handle : idle_) curl_easy_cleanup(handle);
}

void* CurlTransport::Borrow() {
  MutexLock lock(&mutex_);
  if (idle_.empty()) return curl_easy_init();
  void* const handle = idle_.back();
  idle_.pop_back();
  return handle;
}

void CurlTransport::Return(void* handle) {
  curl_easy_reset(handle);
  MutexLock lock(&mutex_);
  idle_.push_back(handle);
}

absl::StatusOr<Answer> CurlTransport::Perform(const Request& request) {
  CURL* const handle = Borrow();
  if (handle == nullptr) return absl::UnavailableError("there is no memory for it");
  Transfer transfer(this, request, handle);
  transfer.Prepare();
  const CURLcode code = stopped_ ? CURLE_ABORTED_BY_CALLBACK : curl_easy_perform(handle);
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &transfer.answer.status);
  Return(handle);
  if (stopped_) return absl::CancelledError("the server is stopping");
  if (!transfer.failure.ok()) return transfer.failure;
  if (transfer.refused && code != CURLE_OK) {
    return absl::PermissionDeniedError("the host's address is not to be connected to");
  }
  if (transfer.too_long) {
    transfer.answer.ended = absl::UnavailableError(
        absl::StrCat("the answer is longer than ", request.max_answer_bytes, " bytes"));
  } else if (code != CURLE_OK && !transfer.enough) {
    transfer.answer.ended = absl::UnavailableError(curl_easy_strerror(code));
  }
  if (transfer.answer.status == 0) return transfer.answer.ended;
  return std::move(transfer.answer);
}

}  // namespace atelier::http
