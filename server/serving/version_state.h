// What the version table knows of one version, and how that changes:
//
//   absent ──BeginLoading──▶ loading ──FinishLoading──▶ ready ──Drop──▶ absent
//                               └──────FailLoading────▶ failed ──BeginLoading──▶ loading
//   ready ──BeginLoading──▶ loading: its archive is another file now.
//
// Apart from that, a version may be kept out of memory by request: one that is kept out is not
// loaded until it is allowed again. What failed is remembered meanwhile.
#ifndef ATELIER_SERVER_SERVING_VERSION_STATE_H_
#define ATELIER_SERVER_SERVING_VERSION_STATE_H_

#include <chrono>
#include <memory>
#include <optional>
#include <variant>

#include "absl/status/status.h"
#include "models/files/file_identity.h"
#include "server/serving/served_version.h"

namespace atelier::serving {

// Not thread-safe; the table's lock guards it. Begins absent and allowed.
class VersionState {
 public:
  using ServedPtr = std::shared_ptr<ServedVersion>;
  using File = std::optional<models::FileIdentity>;  // Nothing if there is no file.

  bool loading() const { return std::holds_alternative<Loading>(state_); }
  bool kept_out() const { return kept_out_; }
  // What is in memory; null if nothing is.
  ServedPtr served() const;
  // What is in memory if it was loaded from this very file; null otherwise.
  ServedPtr ServedFrom(const File& file) const;
  // Why it could not be loaded; OK unless it failed.
  absl::Status failure() const;
  // The failure if it was with this file and less than `retry_delay` ago; OK otherwise.
  absl::Status RecentFailure(const File& file, SteadyTime now,
                             std::chrono::nanoseconds retry_delay) const;
  // True if a request would be answered as far as is known: nothing speaks against loading the
  // version from this file, or from one that is brought there, or it is in memory.
  bool CanAnswer(const File& file) const;
  // True if there is nothing to be remembered.
  bool blank() const { return std::holds_alternative<Absent>(state_) && !kept_out_; }

  // Answers with what was in memory, which is so no longer; null if nothing was.
  [[nodiscard]] ServedPtr BeginLoading();
  // Only while it is loading; they do nothing otherwise.
  void FinishLoading(ServedPtr served, const models::FileIdentity& file);
  void FailLoading(absl::Status why, const File& file, SteadyTime now);
  // Answers with what was in memory; null, and nothing changes, if it was not ready.
  [[nodiscard]] ServedPtr Drop();

  void KeepOut() { kept_out_ = true; }
  void Allow() { kept_out_ = false; }

 private:
  struct Absent {};
  struct Loading {};
  struct Ready {
    ServedPtr served;
    models::FileIdentity file;
  };
  struct Failed {
    absl::Status why;
    File file;
    SteadyTime time;
  };

  std::variant<Absent, Loading, Ready, Failed> state_;
  bool kept_out_ = false;
};

}  // namespace atelier::serving

#endif  // ATELIER_SERVER_SERVING_VERSION_STATE_H_
