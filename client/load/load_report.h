// What a load generator measured, for people and for programs. Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_LOAD_LOAD_REPORT_H_
#define ATELIER_CLIENT_LOAD_LOAD_REPORT_H_

#include <string>

#include "client/load/load_generator.h"
#include "client/terminal/style.h"

namespace atelier::client {

struct LoadReport {
  std::string model;  // As it was asked for, `models/{model}` or with a version.
  int images = 1;     // Of a request.
  LoadOptions options = {};
  LoadResult result = {};
};

// Tables of at most `width` columns where that is possible.
std::string LoadText(const LoadReport& report, const Style& style, int width);

// One object on a line; latencies in milliseconds.
std::string LoadJson(const LoadReport& report);

// A line of titles and one of values.
std::string LoadCsv(const LoadReport& report);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_LOAD_LOAD_REPORT_H_
