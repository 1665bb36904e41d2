// A request to a web server and what it answered: the seam to libcurl.
#ifndef ATELIER_SERVER_HTTP_HTTP_TRANSPORT_H_
#define ATELIER_SERVER_HTTP_HTTP_TRANSPORT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace atelier::http {

// Reads a body's bytes from an offset on: how many came, 0 only at the end, or an error, which ends
// the request.
using BodyReader =
    std::function<absl::StatusOr<std::size_t>(std::int64_t offset, char* to, std::size_t size)>;

struct Request {
  std::string method = "GET";
  std::string url = {};
  std::vector<std::string> headers = {};  // `Name: value` each.
  std::string body = {};                  // Of PUT and POST, if there is no reader.
  BodyReader reader = nullptr;            // Where a large body comes from,
  std::int64_t reader_bytes = 0;          // and its size.
  std::int64_t max_answer_bytes = 64 << 10;
  // Gets the answer's body piece by piece, in place of Answer::body. False ends the request, as if
  // the answer were whole.
  std::function<bool(absl::string_view piece)> sink = nullptr;
};

struct Answer {
  long status = 0;
  std::map<std::string, std::string> headers = {};  // By lower-case name, without spaces around.
  std::string body = {};
  // OK once the whole answer came; else a sentence's end: how it broke off, or that it was longer
  // than allowed.
  absl::Status ended = {};

  // Of a lower-case name; empty if there is none.
  std::string Header(const std::string& name) const {
    const auto header = headers.find(name);
    return header == headers.end() ? "" : header->second;
  }
};

// Thread-safe.
class Transport {
 public:
  virtual ~Transport() = default;

  // What was answered, whatever its status. UNAVAILABLE with a sentence's end if nothing was;
  // PERMISSION_DENIED if the address is one that is not to be used; CANCELLED when stopped; the
  // reader's error.
  virtual absl::StatusOr<Answer> Perform(const Request& request) = 0;

  // Requests that are under way end soon, later ones at once.
  virtual void Stop() {}
};

}  // namespace atelier::http

#endif  // ATELIER_SERVER_HTTP_HTTP_TRANSPORT_H_
