// Numbers and times as people read them. Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_TERMINAL_FIGURES_H_
#define ATELIER_CLIENT_TERMINAL_FIGURES_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace atelier::client {

// "897,802".
std::string Count(std::int64_t number);
// "1 epoch", "1,000 epochs".
std::string Count(std::int64_t number, absl::string_view noun);
// A fraction as "91.83 %".
std::string Percent(double fraction, int digits = 2);
// "0.2431"; very small and very large numbers in scientific notation.
std::string Loss(double value);
// "3.4 MiB".
std::string Bytes(std::int64_t bytes);
// "0.4 s", "42 s", "1m 12s", "2h 05m", "3d 4h". Negative durations count as zero.
std::string Duration(absl::Duration duration);
// The duration since a time: "5 min ago".
std::string Age(absl::Time time, absl::Time now);
// "2026-10-01 14:02:11", local time.
std::string DateTime(absl::Time time);

absl::Time ToTime(const google::protobuf::Timestamp& timestamp);
absl::Duration ToDuration(const google::protobuf::Duration& duration);

// A number so that reading it again gives the same number: for CSV.
std::string Exact(double value);
std::string Exact(float value);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_TERMINAL_FIGURES_H_
