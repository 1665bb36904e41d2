// A mistake in what a caller of serving sent, and where it is. Thread-safe: free functions.
#ifndef ATELIER_SERVER_SERVING_INPUT_ERROR_H_
#define ATELIER_SERVER_SERVING_INPUT_ERROR_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace atelier::serving {

// INVALID_ARGUMENT for the part of the request that `field` names, such as `encoded.files[2]`.
absl::Status InputError(absl::string_view field, absl::string_view description);

// The field that InputError was given; empty for any other status.
std::string FieldOf(const absl::Status& status);

}  // namespace atelier::serving

#endif  // ATELIER_SERVER_SERVING_INPUT_ERROR_H_
