#include "client/calls/status_text.h"

#include <array>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "client/calls/arguments.h"
#include "client/terminal/display_text.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace atelier::client {
namespace {

using Words = std::pair<absl::string_view, absl::string_view>;

// Fields whose option has another name.
constexpr std::array<Words, 16> kFlags = {{
    {"spec.start_from", "--from"},
    {"continue_job", "JOB"},
    {"more_epochs", "--epochs"},
    {"spec.memory_bytes", "--memory"},
    {"memory_bytes", "--memory"},
    {"base_name", "--name"},
    {"page_size", "--limit"},
    {"states", "--state"},
    {"indices", "--test-image"},
    {"name", "the name"},
    {"model", "--model"},
    {"alias", "ALIAS"},
    {"version", "the version"},
    {"encoded.files", "the image files"},
    {"raw.pixels", "the images"},
    {"page_token", "the page token"},
}};

// What to do about an error, by its reason; $ is the name that the request gave.
constexpr std::array<Words, 11> kAdvice = {{
    {"JOB_NOT_FOUND", "`atelier jobs` lists the jobs."},
    {"MODEL_NOT_FOUND", "`atelier models` lists the models."},
    {"VERSION_NOT_FOUND", "`atelier models $` lists the versions."},
    {"ALIAS_NOT_FOUND", "`atelier models $` lists the versions and aliases."},
    {"VERSION_IN_USE",
     "`atelier alias $ ALIAS --remove` removes an alias; --force deletes the aliases, too."},
    {"OTHER_CLASSES", "--force moves the alias anyway."},
    {"JOB_NOT_ENDED", "Stop it first: `atelier stop $`."},
    {"EXPERIMENT_NOT_FOUND", "`atelier experiments` lists the experiments."},
    {"EXPERIMENT_NOT_ENDED", "Stop it first: `atelier stop $`."},
    {"NO_CHECKPOINT", "`atelier train --from MODEL` does; `atelier models` lists the models."},
    {"NOT_EVALUATED", "`atelier show $` shows its progress, or why it ended."},
}};

template <std::size_t size>
absl::string_view Find(const std::array<Words, size>& words, absl::string_view key) {
  for (const auto& [name, value] : words) {
    if (name == key) return value;
  }
  return "";
}

struct Details {
  google::rpc::BadRequest bad_request;
  std::string reason;
};

Details ReadDetails(const grpc::Status& status) {
  Details details;
  google::rpc::Status rich;
  if (!rich.ParseFromString(status.error_details())) return details;
  for (const auto& any : rich.details()) {
    google::rpc::ErrorInfo info;
    if (any.Is<google::rpc::BadRequest>()) any.UnpackTo(&details.bad_request);
    if (any.UnpackTo(&info)) details.reason = info.reason();
  }
  return details;
}

// A text that ends like a sentence.
std::string Sentence(absl::string_view text) {
  std::string sentence = EscapeControls(absl::StripSuffix(text, "\n"));
  if (!sentence.empty() && !absl::EndsWith(sentence, ".") && !absl::EndsWith(sentence, "!")) {
    sentence += ".";
  }
  return sentence;
}

std::string Violations(const google::rpc::BadRequest& request, const FieldNamer& name_field) {
  std::vector<std::string> lines;
  for (const auto& violation : request.field_violations()) {
    lines.push_back(absl::StrCat(EscapeControls(name_field(violation.field())), ": ",
                                 Sentence(violation.description())));
  }
  return absl::StrJoin(lines, "\n");
}

// For errors that gRPC made, not the server, or that say too little.
std::string Explained(const grpc::Status& status, absl::string_view address) {
  switch (status.error_code()) {
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return absl::StrCat("The server at ", address, " did not answer in time.");
    case grpc::StatusCode::UNIMPLEMENTED:
      return absl::StrCat("The server at ", address,
                          " does not know this request: it is an Atelier server of another "
                          "version, or another program.");
    case grpc::StatusCode::UNAVAILABLE:
      return absl::StrCat("The connection to the server at ", address,
                          " broke: ", Sentence(status.error_message()));
    default:
      return Sentence(status.error_message());
  }
}

// What the command line calls the resource: `cnn-3` also for a version of it.
std::string Advice(absl::string_view reason, absl::string_view name) {
  const auto model = ParseModel(name);
  const bool is_model = model.ok() && absl::StartsWith(name, "models/");
  const std::string id = name.empty() ? "NAME" : is_model ? model->model : std::string(Leaf(name));
  return absl::StrReplaceAll(Find(kAdvice, reason), {{"$", EscapeControls(id)}});
}

}  // namespace

std::string FlagOf(absl::string_view field) {
  const absl::string_view known = Find(kFlags, field);
  if (!known.empty()) return std::string(known);
  absl::string_view name = field;
  absl::ConsumePrefix(&name, "spec.");
  return absl::StrCat("--", absl::StrReplaceAll(name, {{"_", "-"}}));
}

std::string NameIn(const google::protobuf::Message& request) {
  const auto* const descriptor = request.GetDescriptor();
  for (const char* const field : {"name", "model"}) {
    const auto* const found = descriptor->FindFieldByName(field);
    if (found == nullptr || found->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_STRING)
      continue;
    return request.GetReflection()->GetString(request, found);
  }
  return "";
}

absl::Status ToStatus(const grpc::Status& status, absl::string_view address,
                      const FieldNamer& name_field, absl::string_view name) {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  const Details details = ReadDetails(status);
  if (details.bad_request.field_violations_size() > 0) {
    return absl::Status(code, Violations(details.bad_request, name_field));
  }
  std::string text = details.reason.empty() ? Explained(status, EscapeControls(address))
                                            : Sentence(status.error_message());
  if (text.empty())
    text = absl::StrCat("The server answered ", absl::StatusCodeToString(code), ".");
  const std::string advice = Advice(details.reason, name);
  if (!advice.empty()) absl::StrAppend(&text, " ", advice);
  return absl::Status(code, text);
}

absl::Status NoServer(absl::string_view address) {
  return absl::UnavailableError(
      absl::StrCat("No server answers at ", EscapeControls(address),
                   ". Start one with `atelierd`, or give its address with --server=HOST:PORT or "
                   "ATELIER_SERVER."));
}

bool IsBroken(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::CANCELLED:
      return true;
    case grpc::StatusCode::UNKNOWN:
    case grpc::StatusCode::INTERNAL:
      // The server's own errors carry details; these come from the transport.
      return status.error_details().empty();
    default:
      return false;
  }
}

}  // namespace atelier::client
