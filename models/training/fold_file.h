// The guesses for one fold of a check of labels as a file, so that a check that lost its process
// goes on with the folds that are left. The file is a line "atelier-fold 1", the SHA-256 of the
// fingerprint as a line, the numbers as little-endian floats, and the SHA-256 of all of that, both
// as 64 hexadecimal digits. Free functions; a folder has one writer.
#ifndef ATELIER_MODELS_TRAINING_FOLD_FILE_H_
#define ATELIER_MODELS_TRAINING_FOLD_FILE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace atelier::models {

// Writes `fold-<number>` into `dir`, durably. `fingerprint` says what the numbers depend on.
// FailureReason kInternal if it cannot be written.
absl::Status WriteFold(const std::string& dir, int64_t fold, absl::string_view fingerprint,
                       absl::Span<const float> numbers);

// The numbers of the first of the folders that has such a file, whole and of that fingerprint.
std::optional<std::vector<float>> FindFold(const std::vector<std::string>& dirs, int64_t fold,
                                           absl::string_view fingerprint, size_t numbers);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TRAINING_FOLD_FILE_H_
