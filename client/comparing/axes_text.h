// Accuracy along what configurations differ in, as a terminal shows it. Thread-safe: a pure
// function.
#ifndef ATELIER_CLIENT_COMPARING_AXES_TEXT_H_
#define ATELIER_CLIENT_COMPARING_AXES_TEXT_H_

#include <string>

#include "client/comparing/comparison.h"
#include "client/terminal/style.h"

namespace atelier::client {

// A table with bars for each axis; empty where no two configurations with results differ along one
// axis alone.
std::string AxesText(const Comparison& comparison, const Style& style, int width);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMPARING_AXES_TEXT_H_
