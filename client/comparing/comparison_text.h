// A comparison as a table, as CSV and as JSON. Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_COMPARING_COMPARISON_TEXT_H_
#define ATELIER_CLIENT_COMPARING_COMPARISON_TEXT_H_

#include <string>

#include "client/comparing/comparison.h"
#include "client/terminal/style.h"
#include "client/terminal/table.h"

namespace atelier::client {

// "91.77 % ± 0.12"; without the deviation for one measurement, "–" for none.
std::string AccuracyText(const Sample& sample);

// How many trials are done, and what became of the others: "4 of 5, 1 failed".
std::string DoneText(const Configuration& configuration);

// The finished table, what to know about it below, and the recommendation.
std::string ComparisonText(const Comparison& comparison, const Style& style, int width);

// A row per configuration while they train.
Table ProgressTable(const Comparison& comparison);

// A row per configuration; means and standard deviations are columns of their own.
std::string ComparisonCsv(const Comparison& comparison);

// One object per configuration, one a line.
std::string ComparisonJson(const Comparison& comparison);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMPARING_COMPARISON_TEXT_H_
