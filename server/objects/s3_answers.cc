#include "server/objects/s3_answers.h"

#include <cstdint>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "server/base/printable.h"

namespace atelier::objects {
namespace {

constexpr char kRetryAfter[] = "atelier/retry-after-seconds";
constexpr std::int64_t kMaxRetryAfter = 300;
constexpr std::size_t kMaxMessage = 200;

// As a sentence can hold it, whatever the store sent.
std::string Shown(absl::string_view text) {
  return std::string(absl::StripSuffix(Printable(text.substr(0, kMaxMessage)), "."));
}

absl::StatusCode CodeOf(long status, absl::string_view code) {
  static constexpr std::pair<absl::string_view, absl::StatusCode> kCodes[] = {
      {"NoSuchKey", absl::StatusCode::kNotFound},
      {"NoSuchUpload", absl::StatusCode::kNotFound},
      {"NoSuchBucket", absl::StatusCode::kFailedPrecondition},
      {"PermanentRedirect", absl::StatusCode::kFailedPrecondition},
      {"AuthorizationHeaderMalformed", absl::StatusCode::kFailedPrecondition},
      {"IllegalLocationConstraintException", absl::StatusCode::kFailedPrecondition},
      {"BadDigest", absl::StatusCode::kDataLoss},
      {"InvalidDigest", absl::StatusCode::kDataLoss},
      {"XAmzContentSHA256Mismatch", absl::StatusCode::kDataLoss},
      {"IncompleteBody", absl::StatusCode::kUnavailable},
      {"RequestTimeout", absl::StatusCode::kUnavailable},
      {"SlowDown", absl::StatusCode::kUnavailable},
      {"InternalError", absl::StatusCode::kUnavailable},
      {"ServiceUnavailable", absl::StatusCode::kUnavailable},
      {"ExpiredToken", absl::StatusCode::kPermissionDenied},
      {"InvalidToken", absl::StatusCode::kPermissionDenied}};
  for (const auto& [name, meaning] : kCodes) {
    if (code == name) return meaning;
  }
  if (status == 404) return absl::StatusCode::kNotFound;
  if (status == 401 || status == 403) return absl::StatusCode::kPermissionDenied;
  if (status == 409 || status == 412) return absl::StatusCode::kAborted;
  if (status == 408 || status == 429 || status >= 500) return absl::StatusCode::kUnavailable;
  return status >= 300 && status < 400 ? absl::StatusCode::kFailedPrecondition
                                       : absl::StatusCode::kInternal;
}

// What the operator should do about an error, as the rest of a sentence.
std::string Advice(const http::Answer& answer, absl::string_view code, absl::Time now) {
  if (code == "NoSuchBucket") return "; make the bucket first";
  if (code == "RequestTimeTooSkewed") {
    return absl::StrCat("; the store's clock says ", answer.Header("date"), ", this machine's ",
                        absl::FormatTime(absl::RFC1123_full, now, absl::UTCTimeZone()),
                        ": set this machine's clock");
  }
  if (code == "SignatureDoesNotMatch") {
    return "; the secret key is not that of the access key, or --s3_region is not the store's";
  }
  if (code == "InvalidAccessKeyId") return "; the store does not know the access key";
  std::string region = answer.Header("x-amz-bucket-region");
  if (region.empty()) region = TextOf(answer.body, "Region");
  return region.empty() || answer.status == 403
             ? ""
             : absl::StrCat("; give --s3_region=", Shown(region));
}

}  // namespace

std::string TextOf(absl::string_view xml, absl::string_view element) {
  const std::vector<absl::string_view> all = ElementsOf(xml, element);
  if (all.empty()) return "";
  return absl::StrReplaceAll(all.front(), {{"&lt;", "<"},
                                           {"&gt;", ">"},
                                           {"&quot;", "\""},
                                           {"&#34;", "\""},
                                           {"&apos;", "'"},
                                           {"&#39;", "'"},
                                           {"&amp;", "&"}});
}

std::vector<absl::string_view> ElementsOf(absl::string_view xml, absl::string_view element) {
  const std::string open = absl::StrCat("<", element, ">");
  const std::string close = absl::StrCat("</", element, ">");
  std::vector<absl::string_view> found;
  for (std::size_t at = xml.find(open); at != absl::string_view::npos; at = xml.find(open, at)) {
    at += open.size();
    const std::size_t end = xml.find(close, at);
    if (end == absl::string_view::npos) break;
    found.push_back(xml.substr(at, end - at));
    at = end + close.size();
  }
  return found;
}

absl::Status StatusOf(const http::Answer& answer, absl::Time now) {
  if (answer.status >= 200 && answer.status < 300) return answer.ended;
  return ErrorOf(answer, now);
}

absl::Status ErrorOf(const http::Answer& answer, absl::Time now) {
  const std::string code = Shown(TextOf(answer.body, "Code"));
  const std::string message = Shown(TextOf(answer.body, "Message"));
  // An error in an answer of 200 came too late for another status; it can be tried again.
  const long meant = answer.status >= 300 ? answer.status : 500;
  absl::Status status(CodeOf(meant, code),
                      absl::StrCat("the store answered ", answer.status, code.empty() ? "" : " ",
                                   code, message.empty() ? "" : " (", message,
                                   message.empty() ? "" : ")", Advice(answer, code, now)));
  std::int64_t seconds = 0;
  if (absl::SimpleAtoi(answer.Header("retry-after"), &seconds) && seconds > 0) {
    status.SetPayload(kRetryAfter, absl::Cord(absl::StrCat(std::min(seconds, kMaxRetryAfter))));
  }
  return status;
}

absl::Duration RetryAfter(const absl::Status& status) {
  const auto payload = status.GetPayload(kRetryAfter);
  std::int64_t seconds = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &seconds)) {
    return absl::ZeroDuration();
  }
  return absl::Seconds(seconds);
}

std::string PlainEtag(absl::string_view etag) {
  etag = absl::StripPrefix(etag, "W/");
  return std::string(absl::StripSuffix(absl::StripPrefix(etag, "\""), "\""));
}

}  // namespace atelier::objects
