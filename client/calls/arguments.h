// Parses names and sizes as people type them into what the services take. Errors are
// INVALID_ARGUMENT with a sentence. Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_CALLS_ARGUMENTS_H_
#define ATELIER_CLIENT_CALLS_ARGUMENTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"

namespace atelier::client {

// `jobs/x` for `x` and for `jobs/x`.
absl::StatusOr<std::string> JobName(absl::string_view text);

// `experiments/x` for `x` and for `experiments/x`.
absl::StatusOr<std::string> ExperimentName(absl::string_view text);

// `datasets/x` for `x` and for `datasets/x`; `datasets/x/versions/3` for `x@3` and for itself.
absl::StatusOr<std::string> DatasetName(absl::string_view text);

// A model, or one of its versions.
struct ModelReference {
  std::string model;
  // A number or an alias; empty for the latest.
  std::string version;

  // `models/{model}`.
  std::string ModelName() const;
  // `models/{model}` or `models/{model}/versions/{version}`.
  std::string ResourceName() const;
};

// Reads `name`, `name@3`, `name@production`, `models/name` and `models/name/versions/3`.
absl::StatusOr<ModelReference> ParseModel(absl::string_view text);

// The last part of a resource name: `x` for `jobs/x`.
absl::string_view Leaf(absl::string_view resource_name);

// `cnn-3@4` for `models/cnn-3/versions/4`.
std::string ShortModel(absl::string_view resource_name);

// `digits@4` for `datasets/digits/versions/4`, `digits` for `datasets/digits`.
std::string ShortDataset(absl::string_view resource_name);

// The float32 numbers, little-endian as on this machine, that responses have as bytes.
std::vector<float> Floats(absl::string_view bytes);

// The prefix of the names of a model version's files: `cnn-3-v4` for `models/cnn-3/versions/4`.
std::string FileStem(absl::string_view model_version);

// The words for the values of an enum, without its prefix and the unspecified value: `study` for
// RECIPE_STUDY.
std::vector<std::string> EnumWords(const google::protobuf::EnumDescriptor* type);

// The word for one value; the number as text if the enum has no such value.
std::string EnumWord(const google::protobuf::EnumDescriptor* type, int value);

// The value for a word; any case, and '-' for '_'.
absl::StatusOr<int> ParseEnum(const google::protobuf::EnumDescriptor* type, absl::string_view flag,
                              absl::string_view word);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CALLS_ARGUMENTS_H_
