#include "server/objects/s3_client.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/objects/s3_answers.h"

namespace atelier::objects {
namespace {

// The piece as a body that libcurl reads.
http::BodyReader ReaderOf(const S3Client::Piece& piece) {
  return [&piece](std::int64_t offset, char* to, std::size_t size) -> absl::StatusOr<std::size_t> {
    auto read = piece.file->Read(piece.offset + offset, to, size);
    if (!read.ok()) return absl::InternalError(read.status().message());
    return read;
  };
}

}  // namespace

absl::StatusOr<http::Answer> S3Client::Perform(const Call& call) {
  const auto credentials = FindCredentials(environment_);
  if (!credentials.ok()) return credentials.status();
  const absl::Time now = clock_->Now();
  SignedRequest signing;
  signing.method = call.method;
  signing.path = absl::StrCat(options_.path_style ? absl::StrCat("/", options_.bucket) : "", "/",
                              options_.FullKey(call.key));
  signing.query = call.query;
  signing.headers = call.headers;
  signing.payload_sha256 = absl::BytesToHexString(
      call.piece == nullptr ? Sha256(call.text) : call.piece->digests.sha256);
  signing.headers["x-amz-content-sha256"] = signing.payload_sha256;
  signing.headers["x-amz-date"] = AmzDate(now);
  if (!credentials->session_token.empty()) {
    signing.headers["x-amz-security-token"] = credentials->session_token;
  }

  http::Request request;
  request.method = call.method;
  request.url = absl::StrCat(options_.tls ? "https://" : "http://", options_.host,
                             UriEncode(signing.path, true), call.query.empty() ? "" : "?",
                             CanonicalQuery(call.query));
  for (const auto& [name, value] : signing.headers) {
    request.headers.push_back(absl::StrCat(name, ": ", value));
  }
  signing.headers["host"] = options_.host;
  request.headers.push_back(absl::StrCat(
      "authorization: ",
      AuthorizationOf(signing, {.time = now, .region = options_.region}, *credentials)));
  request.body = call.text;
  if (call.piece != nullptr) {
    request.reader = ReaderOf(*call.piece);
    request.reader_bytes = call.piece->bytes;
  }
  request.max_answer_bytes = call.max_answer_bytes;
  auto answer = transport_->Perform(request);
  if (!answer.ok()) return answer.status();
  if (auto status = StatusOf(*answer, now); !status.ok()) return status;
  return answer;
}

absl::StatusOr<std::string> S3Client::PerformPut(const Call& call) {
  const auto answer = Perform(call);
  if (!answer.ok()) return answer.status();
  return PlainEtag(answer->Header("etag"));
}

absl::StatusOr<std::string> S3Client::Put(absl::string_view key, const Piece& piece) {
  return PerformPut({.method = "PUT",
                     .key = key,
                     .headers = {{"content-md5", absl::Base64Escape(piece.digests.md5)}},
                     .piece = &piece});
}

absl::StatusOr<std::string> S3Client::PutText(absl::string_view key, const std::string& text,
                                              bool only_new) {
  Call call{.method = "PUT", .key = key, .text = text};
  if (only_new) call.headers["if-none-match"] = "*";
  return PerformPut(call);
}

absl::StatusOr<std::string> S3Client::Get(absl::string_view key, std::int64_t offset,
                                          std::int64_t bytes) {
  if (bytes == 0) return std::string();  // No range is as short as that.
  auto answer =
      Perform({.method = "GET",
               .key = key,
               .headers = {{"range", absl::StrCat("bytes=", offset, "-", offset + bytes - 1)}},
               // An error's document may be longer than the range.
               .max_answer_bytes = bytes + (std::int64_t{64} << 10)});
  if (!answer.ok()) return answer.status();
  if (static_cast<std::int64_t>(answer->body.size()) == bytes) return std::move(answer->body);
  return absl::DataLossError(absl::StrCat("the store answered with ", answer->body.size(),
                                          " bytes where ", bytes, " were asked for"));
}

absl::StatusOr<std::string> S3Client::GetText(absl::string_view key) {
  auto answer = Perform({.method = "GET", .key = key});
  if (!answer.ok()) return answer.status();
  return std::move(answer->body);
}

absl::StatusOr<S3Client::Object> S3Client::Head(absl::string_view key) {
  const auto answer = Perform({.method = "HEAD", .key = key});
  if (!answer.ok()) return answer.status();
  Object object;
  if (!absl::SimpleAtoi(answer->Header("content-length"), &object.bytes)) {
    return absl::InternalError("the store did not say how large the object is");
  }
  object.etag = PlainEtag(answer->Header("etag"));
  return object;
}

absl::Status S3Client::Delete(absl::string_view key) {
  const absl::Status status = Perform({.method = "DELETE", .key = key}).status();
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::StatusOr<std::string> S3Client::BeginUpload(absl::string_view key) {
  const auto answer = Perform({.method = "POST", .key = key, .query = {{"uploads", ""}}});
  if (!answer.ok()) return answer.status();
  std::string id = TextOf(answer->body, "UploadId");
  if (id.empty()) return absl::InternalError("the store gave an upload in parts no id");
  return id;
}

absl::StatusOr<std::string> S3Client::PutPart(absl::string_view key, const std::string& upload,
                                              int number, const Piece& piece) {
  return PerformPut({.method = "PUT",
                     .key = key,
                     .query = {{"partNumber", absl::StrCat(number)}, {"uploadId", upload}},
                     .headers = {{"content-md5", absl::Base64Escape(piece.digests.md5)}},
                     .piece = &piece});
}

absl::StatusOr<std::map<int, S3Client::Object>> S3Client::Parts(absl::string_view key,
                                                                const std::string& upload) {
  std::map<int, Object> parts;
  for (int marker = 0; marker >= 0;) {
    const auto answer =
        Perform({.method = "GET",
                 .key = key,
                 .query = {{"part-number-marker", absl::StrCat(marker)}, {"uploadId", upload}}});
    if (!answer.ok()) return answer.status();
    int last = -1;
    for (const absl::string_view xml : ElementsOf(answer->body, "Part")) {
      int number = 0;
      Object part{.bytes = 0, .etag = PlainEtag(TextOf(xml, "ETag"))};
      if (!absl::SimpleAtoi(TextOf(xml, "PartNumber"), &number) ||
          !absl::SimpleAtoi(TextOf(xml, "Size"), &part.bytes)) {
        return absl::InternalError("the store's list of parts cannot be read");
      }
      last = std::max(last, number);
      parts[number] = std::move(part);
    }
    // A store that says so of an empty or repeated page would be asked for ever.
    marker = TextOf(answer->body, "IsTruncated") == "true" && last > marker ? last : -1;
  }
  return parts;
}

absl::Status S3Client::FinishUpload(absl::string_view key, const std::string& upload,
                                    const std::vector<std::string>& etags) {
  std::string xml = "<CompleteMultipartUpload>";
  for (std::size_t i = 0; i < etags.size(); ++i) {
    absl::StrAppend(&xml, "<Part><PartNumber>", i + 1, "</PartNumber><ETag>&quot;", etags[i],
                    "&quot;</ETag></Part>");
  }
  absl::StrAppend(&xml, "</CompleteMultipartUpload>");
  const auto answer = Perform(
      {.method = "POST", .key = key, .query = {{"uploadId", upload}}, .text = std::move(xml)});
  if (!answer.ok()) return answer.status();
  // It takes so long that its 200 is sent before anybody knows how it ends.
  const bool error = !ElementsOf(answer->body, "Error").empty();
  return error ? ErrorOf(*answer, clock_->Now()) : absl::OkStatus();
}

absl::Status S3Client::AbortUpload(absl::string_view key, const std::string& upload) {
  const absl::Status status =
      Perform({.method = "DELETE", .key = key, .query = {{"uploadId", upload}}}).status();
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

}  // namespace atelier::objects
