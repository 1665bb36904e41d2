// Tells a repeated request from another one under the same id. Thread-safe: a pure function.
#ifndef ATELIER_SERVER_JOBS_CANONICAL_REQUEST_H_
#define ATELIER_SERVER_JOBS_CANONICAL_REQUEST_H_

#include <string>

namespace atelier::jobs {

// The request as its maker meant it, whatever its request_id.
template <typename Request>
std::string Canonical(Request request) {
  request.clear_request_id();
  return request.SerializeAsString();
}

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_CANONICAL_REQUEST_H_
