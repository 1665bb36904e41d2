// Times as messages carry them.
#ifndef ATELIER_SERVER_JOBS_TIMESTAMPS_H_
#define ATELIER_SERVER_JOBS_TIMESTAMPS_H_

#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace atelier::jobs {

inline google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  const timespec parts = absl::ToTimespec(time);
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(parts.tv_sec);
  timestamp.set_nanos(static_cast<int>(parts.tv_nsec));
  return timestamp;
}

inline absl::Time FromTimestamp(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}

// Seconds since 1970, as Prometheus has times.
inline double UnixSeconds(const google::protobuf::Timestamp& timestamp) {
  return static_cast<double>(timestamp.seconds()) + static_cast<double>(timestamp.nanos()) * 1e-9;
}

inline google::protobuf::Duration ToDuration(absl::Duration duration) {
  const timespec parts = absl::ToTimespec(duration);
  google::protobuf::Duration message;
  message.set_seconds(parts.tv_sec);
  message.set_nanos(static_cast<int>(parts.tv_nsec));
  return message;
}

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_TIMESTAMPS_H_
