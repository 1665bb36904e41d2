// Resource names (`jobs/{job}`, `experiments/{experiment}`, `models/{model}`,
// `models/{model}/versions/{version}`, `datasets/{dataset}`,
// `datasets/{dataset}/versions/{version}`, `uploads/{upload}`) and the characters that the names in
// them may have.
#ifndef ATELIER_SERVER_JOBS_RESOURCE_NAMES_H_
#define ATELIER_SERVER_JOBS_RESOURCE_NAMES_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "google/protobuf/descriptor.h"

namespace atelier::jobs {

// What a message shows of a text that may be anything: escaped, its first 100 bytes.
std::string Quoted(absl::string_view text);

// What a message shows of many names: the first 20, quoted.
std::string FirstNames(absl::Span<const std::string> names);

// Words as a sentence: a capital in front, a full stop behind.
std::string Sentence(absl::string_view words);

// A value of an enumeration as the command line writes it: OPTIMIZER_SGD is `sgd`. The number as
// text if the enumeration has no such value.
std::string EnumWord(const google::protobuf::EnumDescriptor* type, int value);

// True for 1 to `max_length` characters of a-z, 0-9 and '-', the first and last a letter or digit.
bool IsSlug(absl::string_view text, std::size_t max_length);

// True for a name that an alias may have: 1 to 63 characters of a-z, 0-9 and '-', beginning with a
// letter.
bool IsAlias(absl::string_view text);

// INVALID_ARGUMENT naming `request_id` for what a request cannot have as its id; OK for none.
absl::Status CheckRequestId(absl::string_view id);

std::string JobName(absl::string_view job_id);
std::string ExperimentName(absl::string_view experiment_id);
std::string ModelName(absl::string_view model);
std::string ModelVersionName(absl::string_view model, std::int64_t version);
std::string DatasetName(absl::string_view dataset);
std::string DatasetVersionName(absl::string_view dataset, std::int64_t version);
std::string UploadName(absl::string_view upload);

// Characters of a data set's name at most.
inline constexpr std::size_t kMaxDatasetName = 63;

// The id in `jobs/{job}`. INVALID_ARGUMENT naming `field` if it is anything else.
absl::StatusOr<std::string> ParseJobName(absl::string_view name, absl::string_view field = "name");

// The id in `experiments/{experiment}`, as ParseJobName.
absl::StatusOr<std::string> ParseExperimentName(absl::string_view name,
                                                absl::string_view field = "name");

// A model, and the version if the name had one: a number or an alias, as written; else empty.
struct ModelReference {
  std::string model;
  std::string version;
};

// Takes `models/{model}` and `models/{model}/versions/{version}`. INVALID_ARGUMENT naming `field`
// if it is anything else.
absl::StatusOr<ModelReference> ParseModelName(absl::string_view name,
                                              absl::string_view field = "name");

// A data set, and the version if one was named; else 0.
struct DatasetReference {
  std::string dataset;
  std::int64_t version = 0;

  // As people write it: `digits`, `digits@3`.
  std::string Text() const;
};

// Takes `digits` and `digits@3`; nothing if it is anything else.
std::optional<DatasetReference> ParseDatasetReference(absl::string_view text);

// Takes `datasets/{dataset}` and `datasets/{dataset}/versions/{version}`. INVALID_ARGUMENT naming
// `field` if it is anything else.
absl::StatusOr<DatasetReference> ParseDatasetName(absl::string_view name,
                                                  absl::string_view field = "name");

// The id in `uploads/{upload}`, 32 hexadecimal digits. INVALID_ARGUMENT naming `field` if it is
// anything else.
absl::StatusOr<std::string> ParseUploadName(absl::string_view name,
                                            absl::string_view field = "name");

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_RESOURCE_NAMES_H_
