// What the kinds of jobs differ in: the states that they go through, what they need and read, and
// how people are told of it. Thread-safe: constants and pure functions.
#ifndef ATELIER_SERVER_JOBS_JOB_KIND_H_
#define ATELIER_SERVER_JOBS_JOB_KIND_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "atelier/v1/job.pb.h"
#include "proto/lifecycle/lifecycle.h"
#include "server/jobs/scheduler.h"

namespace atelier::jobs {

struct JobKindTraits {
  absl::string_view noun;                 // "an import".
  absl::Span<const v1::JobState> course;  // The states of an attempt, without the last.
  // What a stop leaves of a job that has nothing to keep; a sentence's end.
  absl::string_view nothing_kept;
  absl::string_view stopping;  // What happens after a request to stop; a sentence.
  // What helps against too little memory, before "a machine or container with more memory".
  absl::string_view memory_advice;
  // What becomes of a job without a checkpoint that is tried again; a sentence's end.
  absl::string_view tried_again;
};

const JobKindTraits& TraitsOf(const v1::TrainingJob& job);

// What is done in a state, a sentence.
absl::string_view StateSentence(const v1::TrainingJob& job, v1::JobState state);

// What a job asks of the machine: one of its nodes, and all of them together.
Scheduler::Resources NeedsOfNode(const v1::TrainingJob& job);
Scheduler::Resources NeedsOf(const v1::TrainingJob& job);

// How many processes an attempt at it has.
int NodesOf(const v1::TrainingSpec& spec);

// What a specification gives the engine that runs its worker.
std::vector<std::string> EngineArguments(const v1::TrainingSpec& spec);

// The prefix of the id of a job that is no training: `import-digits`, `evaluate-cnn-3`. Long names
// are cut off.
std::string BaseNameOf(const v1::TrainingJob& job);

// The data set that has to be there for a job; empty if it needs none.
std::string NeededDataset(const v1::TrainingJob& job);

// The model version that has to be there for a job, `models/{model}/versions/{version}`; empty if
// it needs none.
const std::string& NeededVersion(const v1::TrainingJob& job);

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_JOB_KIND_H_
