#include "server/upkeep/report.h"

#include "absl/strings/str_cat.h"

namespace atelier::upkeep {

void Report::Problem(const std::string& what, const std::string& advice, const Mend& mend) {
  ++problems_;
  print_(absl::StrCat("problem: ", what));
  if (mend && !repair_) {
    ++mendable_;
    return;
  }
  if (mend) {
    const auto done = mend();
    if (done.ok()) {
      ++mended_;
      print_(absl::StrCat("  mended: ", *done));
      return;
    }
    print_(absl::StrCat("  not mended: ", done.status().message()));
  }
  print_(absl::StrCat("  ", mend || !repair_ ? "" : "not mended: ", advice));
}

}  // namespace atelier::upkeep
