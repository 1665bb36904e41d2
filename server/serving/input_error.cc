#include "server/serving/input_error.h"

#include "absl/strings/cord.h"

namespace atelier::serving {
namespace {

constexpr absl::string_view kFieldUrl = "atelier.serving/field";

}  // namespace

absl::Status InputError(absl::string_view field, absl::string_view description) {
  absl::Status status = absl::InvalidArgumentError(description);
  status.SetPayload(kFieldUrl, absl::Cord(field));
  return status;
}

std::string FieldOf(const absl::Status& status) {
  const auto field = status.GetPayload(kFieldUrl);
  return field.has_value() ? std::string(*field) : "";
}

}  // namespace atelier::serving
