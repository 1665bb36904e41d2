#include "server/kubernetes/http_api.h"

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "models/files/durable_file.h"

namespace atelier::kubernetes {
namespace {

constexpr std::int64_t kMaxAnswer = std::int64_t{64} << 20;
constexpr std::size_t kMaxLine = std::size_t{4} << 20;
constexpr std::int64_t kMaxToken = std::int64_t{64} << 10;
constexpr long kCallMilliseconds = 15'000;
// A watch ends by itself before that, see KubernetesEngine.
constexpr long kWatchMilliseconds = 120'000;

http::CurlTransport::Options TransportOptions(const ApiAddress& address, long timeout_ms) {
  http::CurlTransport::Options options;
  options.timeout_ms = timeout_ms;
  options.connect_timeout_ms = 5'000;
  options.stall_seconds = 0;  // A watch of pods to which nothing happens is silent.
  options.authorities = address.ca_file;
  return options;
}

absl::Status Unanswered(absl::string_view why) {
  return absl::UnavailableError(absl::StrCat("Kubernetes does not answer: ", why));
}

// Cuts what comes piece by piece into lines.
class Lines {
 public:
  explicit Lines(absl::FunctionRef<bool(absl::string_view)> line) : line_(line) {}

  // False once no more lines are wanted.
  bool Take(absl::string_view piece) {
    text_.append(piece.data(), piece.size());
    std::size_t begin = 0;
    for (std::size_t end; (end = text_.find('\n', begin)) != std::string::npos; begin = end + 1) {
      if (!line_(absl::string_view(text_).substr(begin, end - begin))) return false;
    }
    text_.erase(0, begin);
    return text_.size() <= kMaxLine;
  }
  // What came after the last line.
  const std::string& rest() const { return text_; }

 private:
  const absl::FunctionRef<bool(absl::string_view)> line_;
  std::string text_;
};

}  // namespace

HttpApi::HttpApi(ApiAddress address)
    : address_(std::move(address)),
      calls_(TransportOptions(address_, kCallMilliseconds)),
      watches_(TransportOptions(address_, kWatchMilliseconds)) {}

void HttpApi::Stop() {
  calls_.Stop();
  watches_.Stop();
}

absl::StatusOr<http::Answer> HttpApi::Send(http::CurlTransport& transport, const std::string& path,
                                           http::Request request) const {
  request.url = address_.url + path;
  request.max_answer_bytes = kMaxAnswer;
  request.headers.emplace_back("Accept: application/json");
  if (!address_.token_file.empty()) {
    const auto token = models::ReadWholeFile(address_.token_file, kMaxToken);
    if (!token.ok()) return Unanswered(token.status().message());
    request.headers.push_back(
        absl::StrCat("Authorization: Bearer ", absl::StripAsciiWhitespace(*token)));
  }
  auto answer = transport.Perform(request);
  if (!answer.ok()) return Unanswered(answer.status().message());
  if (!answer->ended.ok()) return Unanswered(answer->ended.message());
  return answer;
}

absl::StatusOr<nlohmann::json> HttpApi::Call(absl::string_view method, const std::string& path,
                                             const nlohmann::json& body) {
  http::Request request;
  request.method = std::string(method);
  if (!body.is_null()) {
    request.body = body.dump();
    request.headers.emplace_back("Content-Type: application/json");
  }
  const auto answer = Send(calls_, path, std::move(request));
  if (!answer.ok()) return answer.status();
  if (absl::Status status = StatusOf(answer->status, answer->body); !status.ok()) return status;
  auto read = nlohmann::json::parse(answer->body, nullptr, /*allow_exceptions=*/false);
  if (read.is_discarded()) return Unanswered("its answer is not JSON, or is cut off");
  return read;
}

absl::Status HttpApi::Watch(const std::string& path,
                            absl::FunctionRef<bool(absl::string_view)> line) {
  Lines lines(line);
  http::Request request;
  request.sink = [&lines](absl::string_view piece) { return lines.Take(piece); };
  const auto answer = Send(watches_, path, std::move(request));
  return answer.ok() ? StatusOf(answer->status, lines.rest()) : answer.status();
}

}  // namespace atelier::kubernetes
