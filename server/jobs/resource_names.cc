#include "server/jobs/resource_names.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/jobs/error.h"

namespace atelier::jobs {
namespace {

constexpr std::size_t kMaxJobId = 80;  // Base name, time and a suffix.
constexpr std::size_t kMaxModel = 63;
constexpr std::size_t kUploadDigits = 32;

bool IsSlugCharacter(char c) {
  return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
}

bool IsVersionNumber(absl::string_view text) {
  return !text.empty() && text.size() <= 18 && text[0] != '0' &&
         std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

// A version's number, or an alias.
bool IsVersion(absl::string_view text) { return IsVersionNumber(text) || IsAlias(text); }

bool IsUploadDigit(char c) { return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f'); }

}  // namespace

std::string EnumWord(const google::protobuf::EnumDescriptor* type, int value) {
  const auto* const known = type->FindValueByNumber(value);
  if (known == nullptr) return absl::StrCat(value);
  // The value 0 is called X_UNSPECIFIED, and all begin with X_.
  const absl::string_view prefix =
      absl::StripSuffix(type->FindValueByNumber(0)->name(), "UNSPECIFIED");
  return absl::AsciiStrToLower(absl::StripPrefix(known->name(), prefix));
}

std::string FirstNames(absl::Span<const std::string> names) {
  constexpr std::size_t kMost = 20;
  const auto shown = names.first(std::min(names.size(), kMost));
  return absl::StrCat(absl::StrJoin(shown, ", ",
                                    [](std::string* text, const std::string& name) {
                                      absl::StrAppend(text, Quoted(name));
                                    }),
                      shown.size() < names.size() ? " and others" : "");
}

std::string Sentence(absl::string_view words) {
  std::string text = absl::StrCat(words, ".");
  text[0] = absl::ascii_toupper(static_cast<unsigned char>(text[0]));
  return text;
}

std::string Quoted(absl::string_view text) {
  return absl::StrCat("'", absl::Utf8SafeCEscape(text.substr(0, 64)),
                      text.size() > 64 ? "…'" : "'");
}

bool IsSlug(absl::string_view text, std::size_t max_length) {
  return !text.empty() && text.size() <= max_length && text.front() != '-' && text.back() != '-' &&
         std::all_of(text.begin(), text.end(), IsSlugCharacter);
}

bool IsAlias(absl::string_view text) {
  return !text.empty() && text.size() <= 63 && absl::ascii_islower(text.front()) &&
         std::all_of(text.begin(), text.end(), IsSlugCharacter);
}

absl::Status CheckRequestId(absl::string_view id) {
  const bool valid = id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char c) {
                       return absl::ascii_isalnum(c) || c == '-' || c == '_';
                     });
  if (valid) return absl::OkStatus();
  return InvalidField("request_id", absl::StrCat("The request id ", Quoted(id),
                                                 " cannot be one; it must be 1 to 64 characters of "
                                                 "A-Z, a-z, 0-9, '-' and '_'."));
}

std::string JobName(absl::string_view job_id) { return absl::StrCat("jobs/", job_id); }

std::string ExperimentName(absl::string_view experiment_id) {
  return absl::StrCat("experiments/", experiment_id);
}

std::string ModelName(absl::string_view model) { return absl::StrCat("models/", model); }

std::string ModelVersionName(absl::string_view model, std::int64_t version) {
  return absl::StrCat("models/", model, "/versions/", version);
}

std::string DatasetName(absl::string_view dataset) { return absl::StrCat("datasets/", dataset); }

std::string DatasetVersionName(absl::string_view dataset, std::int64_t version) {
  return absl::StrCat("datasets/", dataset, "/versions/", version);
}

std::string UploadName(absl::string_view upload) { return absl::StrCat("uploads/", upload); }

std::string DatasetReference::Text() const {
  return version == 0 ? dataset : absl::StrCat(dataset, "@", version);
}

absl::StatusOr<std::string> ParseJobName(absl::string_view name, absl::string_view field) {
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '/');
  if (parts.size() != 2 || parts[0] != "jobs" || !IsSlug(parts[1], kMaxJobId)) {
    return InvalidField(field, absl::StrCat(Quoted(name),
                                            " is not a job name; expected "
                                            "jobs/cnn-3-20250131-120000."));
  }
  return std::string(parts[1]);
}

absl::StatusOr<std::string> ParseExperimentName(absl::string_view name, absl::string_view field) {
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '/');
  if (parts.size() != 2 || parts[0] != "experiments" || !IsSlug(parts[1], kMaxJobId)) {
    return InvalidField(field, absl::StrCat(Quoted(name),
                                            " is not an experiment name; expected "
                                            "experiments/sweep-20250131-120000."));
  }
  return std::string(parts[1]);
}

absl::StatusOr<ModelReference> ParseModelName(absl::string_view name, absl::string_view field) {
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '/');
  const bool has_version = parts.size() == 4 && parts[2] == "versions" && IsVersion(parts[3]);
  if ((parts.size() != 2 && !has_version) || parts[0] != "models" || !IsSlug(parts[1], kMaxModel)) {
    return InvalidField(field, absl::StrCat(Quoted(name),
                                            " is not a model name; expected models/cnn-3 or "
                                            "models/cnn-3/versions/1."));
  }
  return ModelReference{std::string(parts[1]), has_version ? std::string(parts[3]) : ""};
}

std::optional<DatasetReference> ParseDatasetReference(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, '@');
  DatasetReference reference{std::string(parts[0])};
  if (parts.size() > 2 || !IsSlug(parts[0], kMaxDatasetName)) return std::nullopt;
  if (parts.size() == 1) return reference;
  if (!IsVersionNumber(parts[1]) || !absl::SimpleAtoi(parts[1], &reference.version)) {
    return std::nullopt;
  }
  return reference;
}

absl::StatusOr<DatasetReference> ParseDatasetName(absl::string_view name, absl::string_view field) {
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '/');
  DatasetReference reference;
  const bool has_version = parts.size() == 4 && parts[2] == "versions" &&
                           IsVersionNumber(parts[3]) &&
                           absl::SimpleAtoi(parts[3], &reference.version);
  if ((parts.size() != 2 && !has_version) || parts[0] != "datasets" ||
      !IsSlug(parts[1], kMaxDatasetName)) {
    return InvalidField(field, absl::StrCat(Quoted(name),
                                            " is not a data set name; expected datasets/digits or "
                                            "datasets/digits/versions/1, with a name of 1 to ",
                                            kMaxDatasetName, " characters of a-z, 0-9 and '-'."));
  }
  reference.dataset = std::string(parts[1]);
  return reference;
}

absl::StatusOr<std::string> ParseUploadName(absl::string_view name, absl::string_view field) {
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '/');
  if (parts.size() != 2 || parts[0] != "uploads" || parts[1].size() != kUploadDigits ||
      !std::all_of(parts[1].begin(), parts[1].end(), IsUploadDigit)) {
    return InvalidField(field,
                        absl::StrCat(Quoted(name), " is not an upload name; expected uploads/ and ",
                                     kUploadDigits, " hexadecimal digits."));
  }
  return std::string(parts[1]);
}

}  // namespace atelier::jobs
