#include "server/kubernetes/curl_api.h"

#include <curl/curl.h>

#include <cstddef>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "models/files/durable_file.h"

namespace atelier::kubernetes {
namespace {

constexpr std::size_t kMaxAnswer = std::size_t{64} << 20;
constexpr std::size_t kMaxToken = std::size_t{64} << 10;
constexpr long kConnectMilliseconds = 5'000;
constexpr long kCallMilliseconds = 15'000;
// A watch ends by itself before that, see KubernetesEngine.
constexpr long kWatchMilliseconds = 120'000;

// Once for the process; libcurl wants it before threads use it.
void InitializeCurl() {
  static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(initialized);
}

absl::Status Unanswered(absl::string_view why) {
  return absl::UnavailableError(absl::StrCat("Kubernetes does not answer: ", why));
}

}  // namespace

// One call, from its handle to its end.
struct CurlApi::Transfer {
  explicit Transfer(const std::atomic<bool>* stop) : stopped(stop), handle(curl_easy_init()) {}
  ~Transfer() {
    curl_slist_free_all(headers);
    curl_easy_cleanup(handle);
  }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  void Add(const std::string& header) { headers = curl_slist_append(headers, header.c_str()); }

  // Less than what came ends the transfer.
  static std::size_t Receive(const char* data, std::size_t size, std::size_t count, void* self) {
    auto* const transfer = static_cast<Transfer*>(self);
    if (transfer->answer.size() + size * count > kMaxAnswer) return 0;
    transfer->answer.append(data, size * count);
    return transfer->line == nullptr || transfer->TakeLines() ? size * count : 0;
  }

  // False once no more lines are wanted.
  bool TakeLines() {
    std::size_t begin = 0;
    for (std::size_t end; (end = answer.find('\n', begin)) != std::string::npos; begin = end + 1) {
      enough = !(*line)(absl::string_view(answer).substr(begin, end - begin));
      if (enough) return false;
    }
    answer.erase(0, begin);
    return true;
  }

  // Anything but 0 ends the transfer.
  static int Watch(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return *static_cast<Transfer*>(self)->stopped ? 1 : 0;
  }

  void Prepare(const std::string& method, const std::string& url, const std::string& ca_file) {
    Add("Accept: application/json");
    if (!body.empty()) {
      Add("Content-Type: application/json");
      curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
      curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.c_str());
    }
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, method.c_str());
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(handle, CURLOPT_USERAGENT, "atelierd");
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, kConnectMilliseconds);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS,
                     line == nullptr ? kCallMilliseconds : kWatchMilliseconds);
    if (!ca_file.empty()) curl_easy_setopt(handle, CURLOPT_CAINFO, ca_file.c_str());
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &Transfer::Receive);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, this);
    curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, &Transfer::Watch);
    curl_easy_setopt(handle, CURLOPT_XFERINFODATA, this);
    curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  }

  const std::atomic<bool>* const stopped;
  CURL* const handle;
  curl_slist* headers = nullptr;
  std::string body;
  std::string answer;
  const absl::FunctionRef<bool(absl::string_view)>* line = nullptr;  // Of a watch.
  bool enough = false;
};

CurlApi::CurlApi(ApiAddress address) : address_(std::move(address)) { InitializeCurl(); }

absl::StatusOr<long> CurlApi::Perform(Transfer& transfer, absl::string_view method,
                                      const std::string& path) const {
  if (transfer.handle == nullptr) return Unanswered("there is no memory for a call");
  if (!address_.token_file.empty()) {
    const auto token = models::ReadWholeFile(address_.token_file, kMaxToken);
    if (!token.ok()) return Unanswered(token.status().message());
    transfer.Add(absl::StrCat("Authorization: Bearer ", absl::StripAsciiWhitespace(*token)));
  }
  transfer.Prepare(std::string(method), address_.url + path, address_.ca_file);
  const CURLcode code = curl_easy_perform(transfer.handle);
  if (stopped_) return Unanswered("the server is stopping");
  if (code != CURLE_OK && !transfer.enough) return Unanswered(curl_easy_strerror(code));
  long answered = 0;
  curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &answered);
  return answered;
}

absl::StatusOr<nlohmann::json> CurlApi::Call(absl::string_view method, const std::string& path,
                                             const nlohmann::json& body) {
  Transfer transfer(&stopped_);
  if (!body.is_null()) transfer.body = body.dump();
  const auto code = Perform(transfer, method, path);
  if (!code.ok()) return code.status();
  if (absl::Status status = StatusOf(*code, transfer.answer); !status.ok()) return status;
  auto answer = nlohmann::json::parse(transfer.answer, nullptr, /*allow_exceptions=*/false);
  if (answer.is_discarded()) return Unanswered("its answer is not JSON, or is cut off");
  return answer;
}

absl::Status CurlApi::Watch(const std::string& path,
                            absl::FunctionRef<bool(absl::string_view)> line) {
  Transfer transfer(&stopped_);
  transfer.line = &line;
  const auto code = Perform(transfer, "GET", path);
  if (!code.ok()) return code.status();
  return transfer.enough ? absl::OkStatus() : StatusOf(*code, transfer.answer);
}

}  // namespace atelier::kubernetes
