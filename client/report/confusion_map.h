// The confusion matrix of a report, as SVG: the numbers of up to 30 classes, and of more a picture.
// Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_REPORT_CONFUSION_MAP_H_
#define ATELIER_CLIENT_REPORT_CONFUSION_MAP_H_

#include <string>

#include "atelier/v1/job.pb.h"

namespace atelier::client::report {

// The name of a class, or its number where it has none.
std::string ClassName(const v1::ConfusionMatrix& matrix, int index);

// The matrix must be square. Half a megabyte at most.
std::string ConfusionMap(const v1::ConfusionMatrix& matrix);

}  // namespace atelier::client::report

#endif  // ATELIER_CLIENT_REPORT_CONFUSION_MAP_H_
