#include "tests/fuzz/known_names.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "server/jobs/notify_url.h"

namespace atelier::fuzz {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// It is private, so that no notice leaves this machine.
constexpr char kNowhere[] = "https://127.0.0.1:9/";

// The text field `name` of a message; empty if it has none.
std::string TextOf(const Message& message, const char* name) {
  const FieldDescriptor* const field = message.GetDescriptor()->FindFieldByName(name);
  if (field == nullptr || field->is_repeated() || field->type() != FieldDescriptor::TYPE_STRING) {
    return "";
  }
  return message.GetReflection()->GetString(message, field);
}

}  // namespace

void KnownNames::Learn(const Message& answer) {
  const std::string name = TextOf(answer, "name");
  for (const std::string kind : {"jobs/", "experiments/", "uploads/"}) {
    if (name.rfind(kind, 0) == 0) made_[kind + "made"] = name;
  }
  if (const std::string page = TextOf(answer, "next_page_token"); !page.empty()) {
    made_["page"] = page;
  }
}

std::string KnownNames::Replacement(const FieldDescriptor& field, const std::string& text) const {
  if (field.name() == "notify_url" && jobs::NotifyUrlProblem(text).empty()) return kNowhere;
  const auto job = made_.find("jobs/made");
  if (text == "made" && job != made_.end()) {
    const std::string id = job->second.substr(5);
    return field.name() == "token" ? token_of_(id) : id;
  }
  const auto made = made_.find(text);
  return made == made_.end() ? text : made->second;
}

void KnownNames::PutInto(Message* request) const {
  const auto* const reflection = request->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(*request, &fields);
  for (const FieldDescriptor* const field : fields) {
    const int count = field->is_repeated() ? reflection->FieldSize(*request, field) : 1;
    for (int i = 0; i < count; ++i) {
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        PutInto(field->is_repeated() ? reflection->MutableRepeatedMessage(request, field, i)
                                     : reflection->MutableMessage(request, field));
      } else if (field->type() == FieldDescriptor::TYPE_STRING && field->is_repeated()) {
        const std::string text = reflection->GetRepeatedString(*request, field, i);
        reflection->SetRepeatedString(request, field, i, Replacement(*field, text));
      } else if (field->type() == FieldDescriptor::TYPE_STRING) {
        const std::string text = reflection->GetString(*request, field);
        reflection->SetString(request, field, Replacement(*field, text));
      }
    }
  }
}

}  // namespace atelier::fuzz
