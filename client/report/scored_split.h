// What a network made of the images of a split, as HTML: the confusion matrix, the classes, how far
// its probabilities can be believed, and the images that it got wrong. Of the test images of a
// training, and of those of an evaluation. Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_REPORT_SCORED_SPLIT_H_
#define ATELIER_CLIENT_REPORT_SCORED_SPLIT_H_

#include <string>
#include <utility>
#include <vector>

#include "client/report/report_data.h"

namespace atelier::client::report {

struct ScoredSplit {
  std::string name;  // "test".
  // F1 and calibration, names and values as HTML; empty if they were not recorded.
  std::vector<std::pair<std::string, std::string>> figures;
};

// Nothing of a job that has no confusion matrix.
std::string ScoredSplitHtml(const CloseLook& look, const ScoredSplit& split);

}  // namespace atelier::client::report

#endif  // ATELIER_CLIENT_REPORT_SCORED_SPLIT_H_
