// The fields of a TrainingSpec as the command line names and writes them, read from the message's
// own description: a field that is added there can be swept, compared and reported without a word
// here. Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_CALLS_SPEC_FIELDS_H_
#define ATELIER_CLIENT_CALLS_SPEC_FIELDS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "atelier/v1/job.pb.h"
#include "google/protobuf/descriptor.h"
#include "proto/lifecycle/network_title.h"

namespace atelier::client {

using SpecField = const google::protobuf::FieldDescriptor*;

// All of them but the seed and what only the server sets, in the order of the message.
std::vector<SpecField> SpecFields();

// Whether the server alone sets the field, so that it has no option.
bool IsSetByServer(SpecField field);

// The flag: `--batch-size`.
std::string OptionOf(SpecField field);
// The flag without its dashes, for titles: `batch-size`.
std::string TitleOf(SpecField field);

// The field's value as the command line takes it, lists with commas; empty if it is absent, or zero
// where absence cannot be told from it. Of a network that is no preset the name of a file for it.
std::string ValueText(const v1::TrainingSpec& spec, SpecField field);

// The same for programs: sizes are numbers of bytes.
std::string PlainValueText(const v1::TrainingSpec& spec, SpecField field);

// Sets the field to what the command line says; reads the file of a network. INVALID_ARGUMENT
// naming the flag.
absl::Status SetValue(absl::string_view text, SpecField field, v1::TrainingSpec* spec);

// Whether the command line knows words for some or all of its values, such as `auto` or `2GiB`, or
// takes a list or a file, so that only SetValue can read them.
bool HasWords(SpecField field);

// Whether the field belongs to the learning-rate schedule, so that giving it to a continued job
// begins a new one.
bool IsOfSchedule(SpecField field);

// The options of `atelier train` that make this very job, beginning with a space.
std::string TrainOptions(const v1::TrainingSpec& spec);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CALLS_SPEC_FIELDS_H_
