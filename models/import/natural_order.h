// The order in which people number files: img2 before img10. A pure function.
#ifndef ATELIER_MODELS_IMPORT_NATURAL_ORDER_H_
#define ATELIER_MODELS_IMPORT_NATURAL_ORDER_H_

#include "absl/strings/string_view.h"

namespace atelier::models {

// Whether `a` comes before `b`: runs of digits compare by their value, everything else by byte;
// names that are equal so far compare by byte as a whole. A strict total order.
bool NaturalLess(absl::string_view a, absl::string_view b);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_IMPORT_NATURAL_ORDER_H_
