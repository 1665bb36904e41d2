// A confusion matrix in words: the matrix, figures per class, and the worst confusions by name. Of
// many classes the worst are shown. Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_COMPARING_CONFUSION_TEXT_H_
#define ATELIER_CLIENT_COMPARING_CONFUSION_TEXT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "atelier/v1/job.pb.h"
#include "client/terminal/style.h"

namespace atelier::client {

// Images of one class that were taken for another.
struct Confusion {
  int true_class = 0;
  int predicted_class = 0;
  std::int64_t count = 0;
  // Images of the true class.
  std::int64_t support = 0;
};

// All of them, the most frequent first.
std::vector<Confusion> WorstConfusions(const v1::ConfusionMatrix& matrix);

// The classes to show: all in their order, or, where they are too many, those of the lowest F1, the
// lowest first.
std::vector<int> ShownClasses(const v1::ConfusionMatrix& matrix);

// INVALID matrices (rows of other lengths than there are class names) are shown as far as they go.
std::string ConfusionText(const v1::ConfusionMatrix& matrix, const Style& style, int width);

// A row per true class, a column per predicted class.
std::string ConfusionCsv(const v1::ConfusionMatrix& matrix);

// The figures of every class, as a table and as CSV.
std::string AllClassesText(const v1::ConfusionMatrix& matrix, const Style& style, int width);
std::string AllClassesCsv(const v1::ConfusionMatrix& matrix);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMPARING_CONFUSION_TEXT_H_
