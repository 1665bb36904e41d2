// What an S3-compatible store answers: its small XML documents, and its errors as statuses.
// Thread-safe: pure functions.
#ifndef ATELIER_SERVER_OBJECTS_S3_ANSWERS_H_
#define ATELIER_SERVER_OBJECTS_S3_ANSWERS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/http/http_transport.h"

namespace atelier::objects {

// The text of the first element of that name, with its entities resolved; empty if there is none.
std::string TextOf(absl::string_view xml, absl::string_view element);
// What stands within each element of that name, as it is.
std::vector<absl::string_view> ElementsOf(absl::string_view xml, absl::string_view element);

// OK for an answer of 200 to 299 that came as a whole. Else, with a sentence's end: NOT_FOUND
// (there is no such object, or no such upload in parts), FAILED_PRECONDITION (there is no such
// bucket, or it is in another region), PERMISSION_DENIED (the store does not allow it, does not
// know the key, or finds the clock wrong), ABORTED (the object is there already, or somebody else
// writes it), DATA_LOSS (the store received other bytes than were meant), UNAVAILABLE (the store
// cannot do it now; RetryAfter has what it asks for), INTERNAL (anything else).
absl::Status StatusOf(const http::Answer& answer, absl::Time now);
// The same of an answer whose body is an error in spite of its status.
absl::Status ErrorOf(const http::Answer& answer, absl::Time now);

// How long the store asked to leave it alone, at most 5 min; 0 if it did not.
absl::Duration RetryAfter(const absl::Status& status);

// Without quotes and the mark of a weak one.
std::string PlainEtag(absl::string_view etag);

}  // namespace atelier::objects

#endif  // ATELIER_SERVER_OBJECTS_S3_ANSWERS_H_
