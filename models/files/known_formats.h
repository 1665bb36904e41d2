// What files are that are none of those expected, told by how they begin. Thread-safe: a free
// function.
#ifndef ATELIER_MODELS_FILES_KNOWN_FORMATS_H_
#define ATELIER_MODELS_FILES_KNOWN_FORMATS_H_

#include "absl/strings/string_view.h"

namespace atelier::models {

// What downloads and mistaken copies leave in the place of a file, as the rest of a sentence ("it
// is packed by xz; unpack it"); empty for anything else. 256 bytes are enough.
absl::string_view KnownByBeginning(absl::string_view text);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_FILES_KNOWN_FORMATS_H_
