// Data sets as text. Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_COMMANDS_DATASET_TEXT_H_
#define ATELIER_CLIENT_COMMANDS_DATASET_TEXT_H_

#include <string>
#include <vector>

#include "atelier/v1/dataset_service.pb.h"
#include "client/terminal/style.h"

namespace atelier::client {

// `28×28×1`: height, width, channels.
std::string ShapeText(const v1::ImageShape& shape);

// Splits, size, source and whatever else is known, the classes with their counts and bars, and the
// warnings: lines of at most `width` columns. Of more than 30 classes the smallest are shown,
// unless `all_classes`.
std::string DatasetText(const v1::Dataset& dataset, bool all_classes, const Style& style,
                        int width);

// A row per class with its images; their numbers are empty where they are not known.
std::string DatasetClassesCsv(const v1::Dataset& dataset);

// The columns of a data set for CSV, and its values.
std::vector<std::string> DatasetCsvNames();
std::vector<std::string> DatasetCsvValues(const v1::Dataset& dataset);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMMANDS_DATASET_TEXT_H_
