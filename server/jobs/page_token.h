// Pages: opaque tokens that are bound to the list and filter they came from, page sizes, and what
// fits into one page.
#ifndef ATELIER_SERVER_JOBS_PAGE_TOKEN_H_
#define ATELIER_SERVER_JOBS_PAGE_TOKEN_H_

#include <cstddef>
#include <cstdint>
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

// The same for a model's versions, newest first: the token behind version `last` leads to those
// below it. An empty one reads as INT64_MAX.
std::string MakeVersionsToken(absl::string_view model, std::int64_t last);
absl::StatusOr<std::int64_t> ReadVersionsToken(absl::string_view model, absl::string_view token);

// `requested`, or `default_size` if that is 0; INVALID_ARGUMENT naming `page_size` unless it is in
// 0 to `max_size`.
absl::StatusOr<int> ResolvePageSize(int requested, int default_size, int max_size);

// The beginning of a UTF-8 text, `limit` bytes at most and then an ellipsis, not cut within a
// character; the whole text if it is no longer.
std::string ClipText(absl::string_view text, std::size_t limit);

// The room in a page that is being filled: so many elements, and no more bytes than stay below the
// 4 MiB that gRPC's clients accept unless they are told otherwise.
class PageRoom {
 public:
  static constexpr std::size_t kBytes = 3 << 20;

  explicit PageRoom(int elements) : elements_(elements) {}

  // Takes an element of so many bytes; false if the page is full. The first one always fits.
  bool Take(std::size_t bytes);

 private:
  int elements_;
  std::size_t bytes_ = 0;
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_PAGE_TOKEN_H_
