// Pages: opaque tokens that are bound to the list and filter they came from, and page sizes.
#ifndef ATELIER_SERVER_JOBS_PAGE_TOKEN_H_
#define ATELIER_SERVER_JOBS_PAGE_TOKEN_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace atelier::jobs {

// A token that leads back to `position`. `scope` is the list with all its filters, such as
// "jobs:1,2"; it is not secret but the token is of no use for any other scope.
std::string MakePageToken(absl::string_view scope, absl::string_view position);

// The position in a token that MakePageToken made for the same scope; INVALID_ARGUMENT naming
// `page_token` for any other text. An empty token is the first page: an empty position.
absl::StatusOr<std::string> ReadPageToken(absl::string_view scope, absl::string_view token);

// `requested`, or `default_size` if that is 0; INVALID_ARGUMENT naming `page_size` unless it is in
// 0 to `max_size`.
absl::StatusOr<int> ResolvePageSize(int requested, int default_size, int max_size);

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_PAGE_TOKEN_H_
