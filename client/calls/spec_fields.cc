#include "client/calls/spec_fields.h"

#include <cmath>
#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/calls/arguments.h"
#include "client/calls/status_text.h"
#include "client/terminal/display_text.h"
#include "client/terminal/figures.h"

namespace atelier::client {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Reflection;

absl::Status NoNumber(absl::string_view text, SpecField field, absl::string_view kind) {
  return absl::InvalidArgumentError(
      absl::StrCat(OptionOf(field), ": '", EscapeControls(text), "' is no ", kind, "."));
}

template <typename Number, typename Set>
absl::Status SetNumber(absl::string_view text, SpecField field, absl::string_view kind, bool parsed,
                       Number number, Set set) {
  if (!parsed) return NoNumber(text, field, kind);
  set(number);
  return absl::OkStatus();
}

bool IsMemory(SpecField field) { return field->name() == "memory_bytes"; }
// The server's choice can be asked for by name.
bool IsAutomatic(absl::string_view text, SpecField field) {
  return field->name() == "shards" && text == "auto";
}

}  // namespace

std::vector<SpecField> SpecFields() {
  std::vector<SpecField> fields;
  const auto* const type = v1::TrainingSpec::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    if (type->field(i)->name() != "seed") fields.push_back(type->field(i));
  }
  return fields;
}

std::string OptionOf(SpecField field) { return FlagOf(absl::StrCat("spec.", field->name())); }

std::string TitleOf(SpecField field) {
  return std::string(absl::StripPrefix(OptionOf(field), "--"));
}

std::string ValueText(const v1::TrainingSpec& spec, SpecField field) {
  constexpr std::int64_t kMiB = std::int64_t{1} << 20;
  const bool size = IsMemory(field) && spec.GetReflection()->HasField(spec, field);
  if (size && spec.memory_bytes() % kMiB == 0) {
    return absl::StrCat(spec.memory_bytes() / kMiB, "MiB");
  }
  return PlainValueText(spec, field);
}

std::string PlainValueText(const v1::TrainingSpec& spec, SpecField field) {
  const Reflection& reflection = *spec.GetReflection();
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
    default:
      return "";
  }
}

absl::Status SetValue(absl::string_view text, SpecField field, v1::TrainingSpec* spec) {
  const Reflection& reflection = *spec->GetReflection();
  if (text.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(OptionOf(field), ": there is nothing where a value should be."));
  }
  if (IsAutomatic(text, field)) {
    reflection.ClearField(spec, field);
    return absl::OkStatus();
  }
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: {
      std::int32_t value = 0;
      const bool parsed = absl::SimpleAtoi(text, &value);
      return SetNumber(text, field, "whole number", parsed, value,
                       [&](std::int32_t number) { reflection.SetInt32(spec, field, number); });
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      std::int64_t value = 0;
      bool parsed = absl::SimpleAtoi(text, &value);
      if (IsMemory(field)) {
        const auto bytes = ParseBytes(text);
        parsed = bytes.ok();
        if (parsed) value = *bytes;
      }
      return SetNumber(text, field, IsMemory(field) ? "size like 2GiB" : "whole number", parsed,
                       value,
                       [&](std::int64_t number) { reflection.SetInt64(spec, field, number); });
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double value = 0;
      const bool parsed = absl::SimpleAtod(text, &value);
      return SetNumber(text, field, "number", parsed, value,
                       [&](double number) { reflection.SetDouble(spec, field, number); });
    }
    case FieldDescriptor::CPPTYPE_BOOL: {
      bool value = false;
      const bool parsed = absl::SimpleAtob(text, &value);
      return SetNumber(text, field, "true or false", parsed, value,
                       [&](bool truth) { reflection.SetBool(spec, field, truth); });
    }
    case FieldDescriptor::CPPTYPE_ENUM: {
      const auto value = ParseEnum(field->enum_type(), OptionOf(field), text);
      if (!value.ok()) return value.status();
      reflection.SetEnumValue(spec, field, *value);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_STRING:
      reflection.SetString(spec, field, std::string(text));
      return absl::OkStatus();
    default:
      return absl::UnimplementedError(absl::StrCat(OptionOf(field), " takes no value here."));
  }
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
