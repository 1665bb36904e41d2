// An S3-compatible store in memory, behind the transport: checks what it receives, and fails as it
// is told.
#ifndef ATELIER_TESTS_UNIT_OBJECTS_FAKE_S3_H_
#define ATELIER_TESTS_UNIT_OBJECTS_FAKE_S3_H_

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/http/http_transport.h"
#include "server/objects/digest.h"

namespace atelier::objects {

// Answers one call at a time; knows a bucket `bucket` in path style.
class FakeS3 final : public http::Transport {
 public:
  using Result = absl::StatusOr<http::Answer>;

  static http::Answer Error(long status, const std::string& code) {
    http::Answer answer{.status = status};
    answer.body = absl::StrCat("<?xml version=\"1.0\"?><Error><Code>", code, "</Code><Message>",
                               "It is so.</Message></Error>");
    return answer;
  }

  Result Perform(const http::Request& request) override {
    const std::string text = absl::StrCat(request.method, " ", request.url.substr(kRoot.size()));
    if (arriving) arriving(text);
    const std::scoped_lock lock(mutex_);
    calls.push_back(text);
    if (before) {
      if (auto answer = before(text); answer.has_value()) return *answer;
    }
    auto body = BodyOf(request);
    if (!body.ok()) return body.status();
    http::Answer answer = Answer(request, *body);
    if (after) after(text, &answer);
    return answer;
  }

  // How many calls began so.
  int Count(const std::string& beginning) const {
    return static_cast<int>(std::count_if(calls.begin(), calls.end(), [&](const std::string& call) {
      return absl::StartsWith(call, beginning);
    }));
  }

  std::map<std::string, std::string> objects;  // By key.
  std::map<std::string, std::map<int, std::string>> uploads;
  std::vector<std::string> calls;
  // Told of each call before its turn comes; several at a time.
  std::function<void(const std::string& call)> arriving;
  // What is answered in place of the store; nothing: the store itself does.
  std::function<std::optional<Result>(const std::string& call)> before;
  // What becomes of the store's answer on its way.
  std::function<void(const std::string& call, http::Answer* answer)> after;
  bool opaque_etags = false;

 private:
  std::mutex mutex_;
  static constexpr absl::string_view kRoot = "http://store/bucket/";

  static std::string Header(const http::Request& request, const std::string& name) {
    for (const std::string& header : request.headers) {
      if (absl::StartsWith(header, name + ": ")) return header.substr(name.size() + 2);
    }
    return "";
  }

  static absl::StatusOr<std::string> BodyOf(const http::Request& request) {
    if (!request.reader) return request.body;
    std::string body(static_cast<std::size_t>(request.reader_bytes), '\0');
    std::size_t done = 0;
    while (done < body.size()) {
      const auto read = request.reader(static_cast<std::int64_t>(done), body.data() + done,
                                       std::min<std::size_t>(body.size() - done, 1 << 20));
      if (!read.ok()) return read.status();
      done += *read;
    }
    return body;
  }

  static std::string Decoded(absl::string_view text) {
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '%') {
        int byte = 0;
        if (!absl::SimpleHexAtoi(text.substr(i + 1, 2), &byte)) return "";
        decoded += static_cast<char>(byte);
        i += 2;
      } else {
        decoded += text[i];
      }
    }
    return decoded;
  }

  std::string EtagOf(const std::string& bytes) const {
    return absl::StrCat("\"", opaque_etags ? "opaque" : absl::BytesToHexString(Md5(bytes)), "\"");
  }

  http::Answer Answer(const http::Request& request, const std::string& body) {
    if (absl::BytesToHexString(Sha256(body)) != Header(request, "x-amz-content-sha256")) {
      return Error(400, "XAmzContentSHA256Mismatch");
    }
    if (!absl::StartsWith(Header(request, "authorization"), "AWS4-HMAC-SHA256 Credential=key/")) {
      return Error(403, "AccessDenied");
    }
    const std::pair<std::string, std::string> parts = absl::StrSplit(
        absl::string_view(request.url).substr(kRoot.size()), absl::MaxSplits('?', 1));
    std::map<std::string, std::string> query;
    for (absl::string_view one : absl::StrSplit(parts.second, '&', absl::SkipEmpty())) {
      const std::pair<std::string, std::string> field = absl::StrSplit(one, '=');
      query[field.first] = Decoded(field.second);
    }
    const std::string key = Decoded(parts.first);
    return query.empty() ? Plain(request, key, body) : Multipart(request, key, query, body);
  }

  http::Answer Plain(const http::Request& request, const std::string& key,
                     const std::string& body) {
    http::Answer answer{.status = 200};
    if (request.method == "PUT") {
      if (Header(request, "if-none-match") == "*" && objects.contains(key)) {
        return Error(412, "PreconditionFailed");
      }
      objects[key] = body;
      answer.headers["etag"] = etags_[key] = EtagOf(body);
      return answer;
    }
    if (request.method == "DELETE") {
      objects.erase(key);
      answer.status = 204;
      return answer;
    }
    if (!objects.contains(key)) return Error(404, "NoSuchKey");
    answer.headers["etag"] = etags_[key];
    answer.headers["content-length"] = absl::StrCat(objects[key].size());
    if (request.method == "GET") answer.body = RangeOf(request, objects[key]);
    return answer;
  }

  static std::string RangeOf(const http::Request& request, const std::string& bytes) {
    const std::string range = Header(request, "range");
    if (range.empty()) return bytes;
    const std::vector<std::string> ends = absl::StrSplit(range.substr(6), '-');
    return bytes.substr(std::stoul(ends[0]), std::stoul(ends[1]) - std::stoul(ends[0]) + 1);
  }

  http::Answer Multipart(const http::Request& request, const std::string& key,
                         std::map<std::string, std::string> query, const std::string& body) {
    http::Answer answer{.status = 200};
    if (query.contains("uploads")) {
      const std::string id = absl::StrCat("upload=", ++last_upload_);
      uploads[id];
      answer.body = absl::StrCat("<R><UploadId>", id, "</UploadId></R>");
      return answer;
    }
    const std::string id = query["uploadId"];
    if (!uploads.contains(id)) return Error(404, "NoSuchUpload");
    std::map<int, std::string>& parts = uploads[id];
    if (request.method == "PUT") {
      parts[std::stoi(query["partNumber"])] = body;
      answer.headers["etag"] = EtagOf(body);
    } else if (request.method == "GET") {
      answer.body = "<R>";
      for (const auto& [number, bytes] : parts) {
        absl::StrAppend(&answer.body, "<Part><PartNumber>", number, "</PartNumber><ETag>&quot;",
                        EtagOf(bytes).substr(1, 32), "&quot;</ETag><Size>", bytes.size(),
                        "</Size></Part>");
      }
      absl::StrAppend(&answer.body, "<IsTruncated>false</IsTruncated></R>");
    } else if (request.method == "POST") {
      Finish(key, parts);
      uploads.erase(id);
    } else {
      uploads.erase(id);
    }
    return answer;
  }

  void Finish(const std::string& key, const std::map<int, std::string>& parts) {
    std::string whole;
    std::string md5s;
    for (const auto& [number, bytes] : parts) {
      whole += bytes;
      md5s += Md5(bytes);
    }
    objects[key] = whole;
    etags_[key] = opaque_etags ? "\"opaque\""
                               : absl::StrCat("\"", absl::BytesToHexString(Md5(md5s)), "-",
                                              parts.size(), "\"");
  }

  std::map<std::string, std::string> etags_;
  int last_upload_ = 0;
};

}  // namespace atelier::objects

#endif  // ATELIER_TESTS_UNIT_OBJECTS_FAKE_S3_H_
