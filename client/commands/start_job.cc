#include "client/commands/start_job.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/calls/arguments.h"
#include "client/calls/request_id.h"
#include "client/calls/spec_help.h"
#include "client/terminal/exit_codes.h"

namespace atelier::client {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Adds an option whose value the parser reads as a T.
template <typename T>
void AddTyped(CLI::App* command, SpecField field, const SharedStartOptions& options,
              void (Reflection::*set)(Message*, SpecField, T) const) {
  const auto store = [=](const T& value) {
    v1::TrainingSpec* const spec = options->request.mutable_spec();
    (spec->GetReflection()->*set)(spec, field, value);
  };
  const SpecHelp help = HelpOf(field);
  command->add_option_function<T>(OptionOf(field), store, help.text)->type_name(help.type);
}

// Adds an option whose words SetValue reads.
void AddWords(CLI::App* command, SpecField field, const SharedStartOptions& options) {
  const auto store = [=](const std::string& text) {
    const absl::Status status = SetValue(text, field, options->request.mutable_spec());
    if (!status.ok()) throw CLI::ValidationError(std::string(status.message()));
  };
  const SpecHelp help = HelpOf(field);
  command->add_option_function<std::string>(OptionOf(field), store, help.text)
      ->type_name(help.type);
}

}  // namespace

void AddSpecOption(CLI::App* command, SpecField field, const SharedStartOptions& options) {
  if (HasWords(field)) return AddWords(command, field, options);
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return AddTyped<std::int32_t>(command, field, options, &Reflection::SetInt32);
    case FieldDescriptor::CPPTYPE_INT64:
      return AddTyped<std::int64_t>(command, field, options, &Reflection::SetInt64);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return AddTyped<double>(command, field, options, &Reflection::SetDouble);
    case FieldDescriptor::CPPTYPE_BOOL:
      return AddTyped<bool>(command, field, options, &Reflection::SetBool);
    case FieldDescriptor::CPPTYPE_STRING:
      return AddTyped<std::string>(command, field, options, &Reflection::SetString);
    default:
      return AddWords(command, field, options);
  }
}

void AddStartOptions(CLI::App* command, const SharedStartOptions& options) {
  command
      ->add_option_function<std::string>(
          "--name", [options](const std::string& name) { options->request.set_base_name(name); },
          "Prefix of the job's name [the preset]")
      ->type_name("BASE");
  command
      ->add_option_function<std::string>(
          "--request-id", [options](const std::string& id) { options->request.set_request_id(id); },
          "Idempotency key: a repeated ID starts nothing new")
      ->type_name("ID");
  command
      ->add_option_function<std::string>(
          "--notify", [options](const std::string& url) { options->request.set_notify_url(url); },
          "Post the job as JSON there when it has ended")
      ->type_name("URL");
  command->add_flag("--detach", options->detach, "Start it and return at once");
  AddFollowOptions(command, &options->follow);
}

absl::StatusOr<int> StartJob(Session& session, StartJobOptions& options) {
  if (options.request.request_id().empty()) options.request.set_request_id(RandomRequestId());
  // The request ID makes it safe to repeat the call after a broken connection.
  const auto job = session.Call(&TrainingService::StartTraining, options.request, {.repeats = 2});
  if (!job.ok()) return job.status();
  if (!options.detach) return FollowJob(session, *job, options.follow);
  PrintStarted(session, *job);
  return kDone;
}

}  // namespace atelier::client
