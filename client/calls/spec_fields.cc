#include "client/calls/spec_fields.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/calls/arguments.h"
#include "client/calls/network_file.h"
#include "client/calls/status_text.h"
#include "client/terminal/display_text.h"
#include "client/terminal/figures.h"
#include "proto/flags/size.h"

namespace atelier::client {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Reflection;

template <typename T>
using Setter = void (Reflection::*)(google::protobuf::Message*, SpecField, T) const;

// Sets the field to `value` if the text was `parsed`, else says of what kind it has to be.
template <typename T>
absl::Status Set(absl::string_view text, SpecField field, absl::string_view kind, bool parsed,
                 T value, Setter<T> set, v1::TrainingSpec* spec) {
  if (!parsed) {
    return absl::InvalidArgumentError(
        absl::StrCat(OptionOf(field), ": '", EscapeControls(text), "' is not ", kind, "."));
  }
  (spec->GetReflection()->*set)(spec, field, std::move(value));
  return absl::OkStatus();
}

bool IsStart(SpecField field) { return field->name() == "start_from"; }
bool IsMemory(SpecField field) { return field->name() == "memory_bytes"; }
bool IsShards(SpecField field) { return field->name() == "shards"; }

// Whether the network comes from nothing else in the specification.
bool IsOwnNetwork(const v1::TrainingSpec& spec) {
  return spec.has_network() && spec.preset().empty() && spec.conv().empty();
}

absl::Status SetInt32(absl::string_view text, SpecField field, v1::TrainingSpec* spec) {
  std::int32_t value = 0;
  const bool parsed = absl::SimpleAtoi(text, &value);
  const char* const kind = IsShards(field) ? "a whole number or auto" : "a whole number";
  return Set(text, field, kind, parsed, value, &Reflection::SetInt32, spec);
}

absl::Status SetInt64(absl::string_view text, SpecField field, v1::TrainingSpec* spec) {
  if (IsMemory(field)) {
    const auto bytes = flags::ParseSize(text);
    return Set<std::int64_t>(text, field, "a size like 2GiB", bytes.ok(), bytes.value_or(0),
                             &Reflection::SetInt64, spec);
  }
  std::int64_t value = 0;
  const bool parsed = absl::SimpleAtoi(text, &value);
  return Set(text, field, "a whole number", parsed, value, &Reflection::SetInt64, spec);
}

absl::Status SetDouble(absl::string_view text, SpecField field, v1::TrainingSpec* spec) {
  double value = 0;
  const bool parsed = absl::SimpleAtod(text, &value);
  return Set(text, field, "a number", parsed, value, &Reflection::SetDouble, spec);
}

absl::Status SetBool(absl::string_view text, SpecField field, v1::TrainingSpec* spec) {
  bool value = text == "on";
  const bool parsed = text == "on" || text == "off" || absl::SimpleAtob(text, &value);
  return Set(text, field, "on, off, true or false", parsed, value, &Reflection::SetBool, spec);
}

// A list of whole numbers.
absl::Status SetInt32List(absl::string_view text, SpecField field, v1::TrainingSpec* spec) {
  spec->GetReflection()->ClearField(spec, field);
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    std::int32_t value = 0;
    if (!absl::SimpleAtoi(part, &value)) {
      return absl::InvalidArgumentError(
          absl::StrCat(OptionOf(field), ": '", EscapeControls(text),
                       "' is not a list of whole numbers like 32,64."));
    }
    spec->GetReflection()->AddInt32(spec, field, value);
  }
  return absl::OkStatus();
}

absl::Status SetNetwork(absl::string_view text, SpecField field, v1::TrainingSpec* spec) {
  auto network = ReadNetworkFile(std::string(text));
  if (!network.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(OptionOf(field), ": ", network.status().message()));
  }
  *spec->mutable_network() = *std::move(network);
  return absl::OkStatus();
}

// A model version, or `none`, which a sweep can compare with it.
absl::Status SetStart(absl::string_view text, v1::TrainingSpec* spec) {
  spec->clear_start_from();
  if (text == "none") return absl::OkStatus();
  const auto reference = ParseModel(text);
  if (!reference.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--from: ", reference.status().message()));
  }
  spec->set_start_from(reference->ResourceName());
  return absl::OkStatus();
}

std::string ListText(const v1::TrainingSpec& spec, SpecField field) {
  std::string text;
  const Reflection& reflection = *spec.GetReflection();
  for (int i = 0; i < reflection.FieldSize(spec, field); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ",", reflection.GetRepeatedInt32(spec, field, i));
  }
  return text;
}

absl::Status SetEnum(absl::string_view text, SpecField field, v1::TrainingSpec* spec) {
  const auto value = ParseEnum(field->enum_type(), OptionOf(field), text);
  if (!value.ok()) return value.status();
  spec->GetReflection()->SetEnumValue(spec, field, *value);
  return absl::OkStatus();
}

}  // namespace

std::vector<SpecField> SpecFields() {
  std::vector<SpecField> fields;
  const auto* const type = v1::TrainingSpec::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const SpecField field = type->field(i);
    if (field->name() != "seed" && !IsSetByServer(field)) fields.push_back(field);
  }
  return fields;
}

bool IsSetByServer(SpecField field) {
  return field->name() == "continues" || field->name() == "schedule_start_epoch";
}

std::string OptionOf(SpecField field) { return FlagOf(absl::StrCat("spec.", field->name())); }

std::string TitleOf(SpecField field) {
  return std::string(absl::StripPrefix(OptionOf(field), "--"));
}

std::string ValueText(const v1::TrainingSpec& spec, SpecField field) {
  constexpr std::int64_t kMiB = std::int64_t{1} << 20;
  constexpr std::int64_t kGiB = kMiB << 10;
  if (IsMemory(field) && spec.has_memory_bytes()) {
    if (spec.memory_bytes() % kGiB == 0) return absl::StrCat(spec.memory_bytes() / kGiB, "GiB");
    if (spec.memory_bytes() % kMiB == 0) return absl::StrCat(spec.memory_bytes() / kMiB, "MiB");
  }
  if (IsStart(field) && !spec.start_from().empty()) return ShortModel(spec.start_from());
  return PlainValueText(spec, field);
}

std::string PlainValueText(const v1::TrainingSpec& spec, SpecField field) {
  const Reflection& reflection = *spec.GetReflection();
  if (field->is_repeated()) return ListText(spec, field);
  if (!reflection.HasField(spec, field)) return "";
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(reflection.GetInt32(spec, field));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(reflection.GetInt64(spec, field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return Exact(reflection.GetDouble(spec, field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(spec, field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM: {
      const int value = reflection.GetEnumValue(spec, field);
      return value == 0 ? "" : EnumWord(field->enum_type(), value);
    }
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.GetString(spec, field);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return IsOwnNetwork(spec) ? absl::StrCat(NetworkTitle(spec), ".json") : "";
    default:
      return "";
  }
}

absl::Status SetValue(absl::string_view text, SpecField field, v1::TrainingSpec* spec) {
  if (text.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(OptionOf(field), ": the value is empty."));
  }
  if (IsShards(field) && text == "auto") {
    spec->clear_shards();
    return absl::OkStatus();
  }
  if (IsStart(field)) return SetStart(text, spec);
  if (field->is_repeated()) return SetInt32List(text, field, spec);
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return SetInt32(text, field, spec);
    case FieldDescriptor::CPPTYPE_INT64:
      return SetInt64(text, field, spec);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return SetDouble(text, field, spec);
    case FieldDescriptor::CPPTYPE_BOOL:
      return SetBool(text, field, spec);
    case FieldDescriptor::CPPTYPE_ENUM:
      return SetEnum(text, field, spec);
    case FieldDescriptor::CPPTYPE_STRING:
      spec->GetReflection()->SetString(spec, field, std::string(text));
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return SetNetwork(text, field, spec);
    default:
      return absl::UnimplementedError(absl::StrCat(OptionOf(field), " takes no value here."));
  }
}

bool HasWords(SpecField field) {
  return field->enum_type() != nullptr || IsMemory(field) || IsShards(field) || IsStart(field) ||
         field->is_repeated() || field->message_type() != nullptr;
}

bool IsOfSchedule(SpecField field) {
  constexpr std::array kFields = {"learning_rate", "schedule", "warmup_fraction", "step_factor",
                                  "step_epochs"};
  return std::find(kFields.begin(), kFields.end(), field->name()) != kFields.end();
}

std::string TrainOptions(const v1::TrainingSpec& spec) {
  std::string options;
  for (const SpecField field : SpecFields()) {
    const std::string value = ValueText(spec, field);
    // The depth only says again what the preset says.
    if (value.empty() || (field->name() == "conv_depth" && !spec.preset().empty())) continue;
    absl::StrAppend(&options, " ", OptionOf(field), "=", value);
  }
  if (spec.has_seed()) absl::StrAppend(&options, " --seed=", spec.seed());
  return options;
}

}  // namespace atelier::client
