#include "client/calls/arguments.h"

#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/terminal/display_text.h"

namespace atelier::client {
namespace {

absl::Status Wrong(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("'", EscapeControls(text), "' ", why));
}

// Whether the text can be one part of a resource name.
bool IsPart(absl::string_view text) {
  return !text.empty() && text.find_first_of("/@") == absl::string_view::npos;
}

// SCREAMING_SNAKE_CASE name of the enum itself: the prefix of its values.
std::string PrefixOf(const google::protobuf::EnumDescriptor* type) {
  std::string prefix;
  for (const char c : type->name()) {
    if (absl::ascii_isupper(c) && !prefix.empty()) prefix.push_back('_');
    prefix.push_back(absl::ascii_toupper(c));
  }
  return prefix + "_";
}

}  // namespace

absl::StatusOr<std::string> JobName(absl::string_view text) {
  absl::string_view id = text;
  absl::ConsumePrefix(&id, "jobs/");
  if (!IsPart(id)) {
    return Wrong(text, "is not a job name; `atelier jobs` lists the jobs.");
  }
  return absl::StrCat("jobs/", id);
}

absl::StatusOr<std::string> ExperimentName(absl::string_view text) {
  absl::string_view id = text;
  absl::ConsumePrefix(&id, "experiments/");
  if (!IsPart(id)) {
    return Wrong(text, "is not an experiment name; `atelier experiments` lists the experiments.");
  }
  return absl::StrCat("experiments/", id);
}

absl::StatusOr<std::string> DatasetName(absl::string_view text) {
  absl::string_view rest = text;
  const bool resource = absl::ConsumePrefix(&rest, "datasets/");
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(rest, absl::MaxSplits(resource ? "/versions/" : "@", 1));
  const bool versioned = parts.first.size() < rest.size();
  if (!IsPart(parts.first) || (versioned && !IsPart(parts.second))) {
    return Wrong(text,
                 "is not a data set; give NAME or NAME@VERSION. `atelier datasets` lists the data "
                 "sets.");
  }
  const std::string name = absl::StrCat("datasets/", parts.first);
  return versioned ? absl::StrCat(name, "/versions/", parts.second) : name;
}

std::string ModelReference::ModelName() const { return absl::StrCat("models/", model); }

std::string ModelReference::ResourceName() const {
  return version.empty() ? ModelName() : absl::StrCat(ModelName(), "/versions/", version);
}

absl::StatusOr<ModelReference> ParseModel(absl::string_view text) {
  absl::string_view rest = text;
  const bool resource = absl::ConsumePrefix(&rest, "models/");
  std::pair<absl::string_view, absl::string_view> parts(rest, "");
  const char* const separator = resource ? "/versions/" : "@";
  const bool versioned = absl::StrContains(rest, separator);
  if (versioned) parts = absl::StrSplit(rest, absl::MaxSplits(separator, 1));
  if (!IsPart(parts.first) || (versioned && !IsPart(parts.second))) {
    return Wrong(text,
                 "is not a model; give NAME, NAME@VERSION or NAME@ALIAS. `atelier models` lists "
                 "the models.");
  }
  return ModelReference{std::string(parts.first), std::string(parts.second)};
}

absl::string_view Leaf(absl::string_view resource_name) {
  const auto slash = resource_name.rfind('/');
  return slash == absl::string_view::npos ? resource_name : resource_name.substr(slash + 1);
}

std::string ShortModel(absl::string_view resource_name) {
  const auto reference = ParseModel(resource_name);
  if (!reference.ok()) return std::string(resource_name);
  return reference->version.empty() ? reference->model
                                    : absl::StrCat(reference->model, "@", reference->version);
}

std::string ShortDataset(absl::string_view resource_name) {
  absl::string_view rest = resource_name;
  absl::ConsumePrefix(&rest, "datasets/");
  return absl::StrReplaceAll(rest, {{"/versions/", "@"}});
}

std::vector<float> Floats(absl::string_view bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

std::string FileStem(absl::string_view model_version) {
  const auto reference = ParseModel(model_version);
  if (!reference.ok()) return "model";
  return absl::StrCat(reference->model, "-v", reference->version);
}

std::vector<std::string> EnumWords(const google::protobuf::EnumDescriptor* type) {
  std::vector<std::string> words;
  for (int i = 0; i < type->value_count(); ++i) {
    if (type->value(i)->number() != 0) words.push_back(EnumWord(type, type->value(i)->number()));
  }
  return words;
}

std::string EnumWord(const google::protobuf::EnumDescriptor* type, int value) {
  const auto* const known = type->FindValueByNumber(value);
  if (known == nullptr) return absl::StrCat(value);
  return absl::AsciiStrToLower(absl::StripPrefix(known->name(), PrefixOf(type)));
}

absl::StatusOr<int> ParseEnum(const google::protobuf::EnumDescriptor* type, absl::string_view flag,
                              absl::string_view word) {
  const auto* const value = type->FindValueByName(
      PrefixOf(type) + absl::StrReplaceAll(absl::AsciiStrToUpper(word), {{"-", "_"}}));
  if (value == nullptr || value->number() == 0) {
    return absl::InvalidArgumentError(absl::StrCat(flag, ": '", EscapeControls(word),
                                                   "' is not one of ",
                                                   absl::StrJoin(EnumWords(type), ", "), "."));
  }
  return value->number();
}

}  // namespace atelier::client
