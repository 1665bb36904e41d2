// What a check of a data directory finds, told line by line as it is found, and what became of it.
#ifndef ATELIER_SERVER_UPKEEP_REPORT_H_
#define ATELIER_SERVER_UPKEEP_REPORT_H_

#include <functional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace atelier::upkeep {

// Not thread-safe.
class Report {
 public:
  using Print = std::function<void(const std::string& line)>;
  // Mends a problem and says what was done.
  using Mend = std::function<absl::StatusOr<std::string>()>;

  // With `repair` problems are mended as they are found.
  Report(bool repair, Print print) : repair_(repair), print_(std::move(print)) {}

  void Say(const std::string& line) { print_(line); }
  // A problem, what mends it, if anything does, and what people can do about it otherwise.
  void Problem(const std::string& what, const std::string& advice, const Mend& mend = {});

  int problems() const { return problems_; }
  // Those that are still there.
  int left() const { return problems_ - mended_; }
  // Those of them that --repair would mend.
  int mendable() const { return mendable_; }

 private:
  const bool repair_;
  const Print print_;
  int problems_ = 0;
  int mended_ = 0;
  int mendable_ = 0;
};

}  // namespace atelier::upkeep

#endif  // ATELIER_SERVER_UPKEEP_REPORT_H_
