// The exit codes of the client; scripts rely on these numbers. Thread-safe: constants and pure
// functions.
#ifndef ATELIER_CLIENT_TERMINAL_EXIT_CODES_H_
#define ATELIER_CLIENT_TERMINAL_EXIT_CODES_H_

#include "absl/status/status.h"
#include "atelier/v1/job.pb.h"

namespace atelier::client {

inline constexpr int kDone = 0;
// Wrong usage, no connection, or any other error.
inline constexpr int kError = 1;
inline constexpr int kJobFailed = 100;
inline constexpr int kJobNotFinished = 101;
inline constexpr int kNotFound = 102;
inline constexpr int kJobStopped = 103;
// Ended by Ctrl-C, as a shell reports it.
inline constexpr int kInterrupted = 130;

// Whether a job in this state has ended.
bool HasEnded(v1::JobState state);

int ExitCodeOf(v1::JobState state);
int ExitCodeOf(const absl::Status& status);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_TERMINAL_EXIT_CODES_H_
