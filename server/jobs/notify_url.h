// Where to tell that a job has ended. Thread-safe: a pure function.
#ifndef ATELIER_SERVER_JOBS_NOTIFY_URL_H_
#define ATELIER_SERVER_JOBS_NOTIFY_URL_H_

#include <string>

#include "absl/strings/string_view.h"

namespace atelier::jobs {

// Why nothing can be posted to such a URL, without a full stop; empty if something can. It has to
// be http:// or https://, have a host and at most 2,000 characters of ASCII without blanks.
std::string NotifyUrlProblem(absl::string_view url);

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_NOTIFY_URL_H_
