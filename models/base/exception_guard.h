// Where exceptions of LibTorch, oneDNN and the standard library end and statuses begin. Every
// public function of models/ that computes with LibTorch runs inside one of these. Thread-safe.
#ifndef ATELIER_MODELS_BASE_EXCEPTION_GUARD_H_
#define ATELIER_MODELS_BASE_EXCEPTION_GUARD_H_

#include <exception>
#include <new>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "models/base/failure.h"
#include "models/base/rank_group.h"

namespace atelier::models {

// The status of an exception that came out of `doing` (a phrase such as "training"). Out of memory
// is told from the rest by type, or by the words of LibTorch's and oneDNN's allocators.
inline absl::Status StatusOfException(absl::string_view doing, const std::exception& error) {
  absl::string_view what = error.what();
  // LibTorch appends a stack trace.
  what = what.substr(0, what.find("\nException raised from"));
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
      absl::StrContains(what, "can't allocate memory") ||
      absl::StrContains(what, "not enough memory") || absl::StrContains(what, "out of memory")) {
    return Failure(FailureReason::kOutOfMemory,
                   absl::StrCat(doing,
                                " ran out of memory; use a smaller batch or network, or "
                                "grant more memory"));
  }
  const bool lost = dynamic_cast<const RankLost*>(&error) != nullptr;
  return Failure(lost ? FailureReason::kRankLost : FailureReason::kInternal,
                 absl::StrCat(doing, lost ? " lost another rank: " : " failed: ", what));
}

// Calls `function`, which returns an absl::Status or absl::StatusOr, and turns exceptions into one.
template <typename Function>
auto GuardExceptions(absl::string_view doing, Function&& function) -> decltype(function()) {
  try {
    return function();
  } catch (const std::exception& error) {
    return StatusOfException(doing, error);
  }
}

}  // namespace atelier::models

#endif  // ATELIER_MODELS_BASE_EXCEPTION_GUARD_H_
