#include "server/worker/failure_event.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/worker/memory_limit.h"

namespace atelier::worker {

std::string Sentence(absl::string_view message) {
  std::string text(message);
  if (text.empty()) text = "unknown error";
  const std::string first_word = text.substr(0, text.find(' '));
  // Names of fields and files stay as they are.
  if (first_word.find_first_of("_/.") == std::string::npos) {
    text[0] = absl::ascii_toupper(static_cast<unsigned char>(text[0]));
  }
  if (!absl::EndsWith(text, ".")) text += '.';
  return text;
}

v1::Failure FailureOf(const absl::Status& status) {
  v1::Failure failure;
  failure.set_reason(std::string(models::FailureReasonName(models::ReasonOf(status))));
  failure.set_message(Sentence(status.message()));
  return failure;
}

v1::WorkerEvent FailureEvent(const absl::Status& status, const v1::Assignment& assignment) {
  if (models::ReasonOf(status) == models::FailureReason::kOutOfMemory) {
    // What follows the semicolon is general advice; the event has better.
    const absl::string_view what = status.message();
    return OutOfMemoryEvent(assignment, std::string(what.substr(0, what.find(';'))));
  }
  v1::WorkerEvent event;
  *event.mutable_failure() = FailureOf(status);
  return event;
}

v1::WorkerEvent FailureEvent(models::FailureReason reason, const std::string& sentence) {
  v1::WorkerEvent event;
  event.mutable_failure()->set_reason(std::string(models::FailureReasonName(reason)));
  event.mutable_failure()->set_message(sentence);
  return event;
}

std::int64_t MemoryLimitOf(const v1::Assignment& assignment) {
  if (assignment.has_import()) return assignment.import().spec().memory_bytes();
  if (assignment.has_evaluation()) return assignment.evaluation().spec().memory_bytes();
  return assignment.has_check() ? assignment.check().memory_bytes()
                                : assignment.spec().memory_bytes();
}

v1::WorkerEvent OutOfMemoryEvent(const v1::Assignment& assignment, const std::string& what) {
  return FailureEvent(
      models::FailureReason::kOutOfMemory,
      absl::StrCat("The job's memory limit of ", FormatBytes(MemoryLimitOf(assignment)),
                   " was reached: ", what, ". Try a ",
                   assignment.has_spec() ? "larger --memory or a smaller --batch-size."
                                         : "machine or container with more memory."));
}

}  // namespace atelier::worker
