// Calls of every method that clients and workers have, to a real server: a few of them an input,
// each with the bytes of its messages (entries.h). Whatever they are, no answer is that of a fault
// of the server.
#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdio>
#include <cstdlib>

#include "absl/time/clock.h"
#include "google/protobuf/message.h"
#include "tests/fuzz/entries.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/known_names.h"
#include "tests/fuzz/scratch_server.h"

namespace atelier::fuzz {
namespace {

using google::protobuf::Message;
using google::protobuf::MethodDescriptor;

// As long as a data directory is used: what calls leave there stays small.
constexpr int kInputs = 40;

const std::vector<const MethodDescriptor*>& Methods() {
  static const std::vector<const MethodDescriptor*> methods = AllMethods();
  return methods;
}

// The token of the job's attempt, once that is on record; empty if it does not come to that.
std::string TokenOf(const std::string& data_dir, const std::string& job) {
  constexpr int kStarting = 2;
  const SQLite::Database database(data_dir + "/atelier.db", SQLite::OPEN_READONLY, 1000);
  for (int i = 0; i < 20; ++i) {
    SQLite::Statement select(database, "SELECT state, token FROM jobs WHERE id = ?");
    select.bind(1, job);
    if (!select.executeStep()) return "";
    if (select.getColumn(0).getInt() >= kStarting) return select.getColumn(1).getString();
    absl::SleepFor(absl::Milliseconds(5));
  }
  return "";
}

void CheckAnswer(const MethodDescriptor& method, const Answer& answer) {
  const grpc::StatusCode code = answer.status.error_code();
  const bool hung = answer.cut && !method.server_streaming();
  const bool faulty =
      !answer.cut && (code == grpc::INTERNAL || code == grpc::UNKNOWN ||
                      code == grpc::UNIMPLEMENTED || code == grpc::DEADLINE_EXCEEDED);
  if (!hung && !faulty) return;
  std::fprintf(stderr, "%s: %s, status %d: %s\n", PathOf(method).c_str(),
               hung ? "no answer" : "a fault", code, answer.status.error_message().c_str());
  std::abort();
}

class Session {
 public:
  Session() : names_([this](const std::string& job) { return TokenOf(server_.data_dir(), job); }) {
    server_.Restore();
    if (const absl::Status started = server_.Start(); !started.ok()) {
      std::fprintf(stderr, "%s\n", started.ToString().c_str());
      std::abort();
    }
  }

  void Take(const std::vector<Entry>& entries) {
    for (const Entry& entry : entries) {
      Call(*Methods()[static_cast<std::size_t>(entry.place - Places().data())], entry);
    }
    server_.CheckSurroundings();
  }

  // Whether something was deleted that later inputs would miss.
  bool has_lost() const { return has_lost_; }

 private:
  void Call(const MethodDescriptor& method, const Entry& entry) {
    bool readable = true;
    std::vector<std::string> messages;
    for (const std::string& bytes : entry.messages) {
      const std::unique_ptr<Message> request(entry.place->prototype->New());
      readable = readable && request->ParseFromString(bytes);
      if (readable) names_.PutInto(request.get());
      messages.push_back(readable ? request->SerializeAsString() : bytes);
    }
    const Answer answer = server_.Call(method, messages);
    // gRPC itself calls what it does not take INTERNAL: what cannot be parsed, long names of
    // health.
    if (readable && method.service()->file()->package() != "grpc.health.v1")
      CheckAnswer(method, answer);
    has_lost_ |= method.name().rfind("Delete", 0) == 0 && answer.status.ok();
    const std::unique_ptr<Message> response(Prototype(method.output_type())->New());
    for (const std::string& bytes : answer.messages) {
      if (!response->ParseFromString(bytes)) std::abort();
      names_.Learn(*response);
    }
  }

  ScratchServer server_;
  KnownNames names_;
  bool has_lost_ = false;
};

}  // namespace

const std::vector<Place>& Places() {
  static const auto* const places = [] {
    auto* all = new std::vector<Place>();
    for (const MethodDescriptor* const method : Methods()) {
      all->push_back({PathOf(*method), Prototype(method->input_type())});
    }
    return all;
  }();
  return *places;
}

}  // namespace atelier::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace atelier::fuzz;
  Scratch();  // It goes after what uses it.
  static auto session = std::make_unique<Session>();
  static int inputs = 0;
  if (++inputs % kInputs == 0 || session->has_lost()) {
    session.reset();
    session = std::make_unique<Session>();
  }
  session->Take(ReadEntries(Text(data, size)));
  return 0;
}
