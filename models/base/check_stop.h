// The error with which work in models/ ends that was asked to stop. Thread-safe: a free function.
#ifndef ATELIER_MODELS_BASE_CHECK_STOP_H_
#define ATELIER_MODELS_BASE_CHECK_STOP_H_

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "models/base/failure.h"
#include "models/base/stop_signal.h"

namespace atelier::models {

// kCancelled if `stop` (may be null) asks to end; `doing` says at what: `reading the data`.
inline absl::Status CheckStop(const StopSignal* stop, absl::string_view doing) {
  if (stop == nullptr || stop->Get() == StopRequest::kNone) return absl::OkStatus();
  return Failure(FailureReason::kCancelled, absl::StrCat("asked to stop while ", doing));
}

}  // namespace atelier::models

#endif  // ATELIER_MODELS_BASE_CHECK_STOP_H_
