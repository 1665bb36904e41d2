// Names of another kind than a command takes, such as a model's name where a job's is needed. Used
// by one thread.
#ifndef ATELIER_CLIENT_CALLS_RESOURCE_KIND_H_
#define ATELIER_CLIENT_CALLS_RESOURCE_KIND_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/calls/session.h"

namespace atelier::client {

enum class Kind { kJob, kExperiment, kModel };

// `result` is what a command returned that takes a name of one of the kinds `taken`, and got
// `text`. If it failed because there is no such resource, but `text` names one of another kind, the
// error says so, and which command takes it; its code stays the same. Otherwise `result`.
absl::StatusOr<int> ExplainKind(Session& session, absl::string_view text,
                                const std::vector<Kind>& taken, const absl::StatusOr<int>& result);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CALLS_RESOURCE_KIND_H_
