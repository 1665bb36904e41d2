#include "tests/fuzz/calls.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "atelier/worker/v1/worker_service.pb.h"
#include "server/access/method_table.h"

namespace atelier::fuzz {
namespace {

using google::protobuf::MethodDescriptor;

// An answer that takes longer will not come.
constexpr auto kHang = std::chrono::milliseconds(40'000);
// A stream that is silent for this long has nothing to say at present, or nothing more.
constexpr auto kFirstSilence = std::chrono::milliseconds(50);
constexpr auto kSilence = std::chrono::milliseconds(10);
constexpr std::size_t kMaxAnswers = 50;
constexpr std::size_t kKeptAnswers = 4;

grpc::ByteBuffer Buffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string Bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) std::abort();
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// One call, whose operations are made one after the other.
class OneCall {
 public:
  OneCall(grpc::GenericStub* stub, const MethodDescriptor& method)
      : stream_(stub->PrepareCall(&context_, absl::StrCat("/", PathOf(method)), &queue_)) {}

  Answer Make(const MethodDescriptor& method, const std::vector<std::string>& messages) {
    stream_->StartCall(this);
    bool open = Await(kHang);
    const std::size_t count = method.client_streaming() ? messages.size() : 1;
    for (std::size_t i = 0; open && i < std::min(count, messages.size()); ++i) {
      stream_->Write(Buffer(messages[i]), this);
      open = Await(kHang);
    }
    // A session that is not read from goes on when it hears the end.
    if (open) stream_->WritesDone(this), open = Await(kHang);
    Read(method.server_streaming(), open);
    stream_->Finish(&answer_.status, this);
    Await(kHang);
    return std::move(answer_);
  }

 private:
  void Read(bool is_stream, bool open) {
    for (std::size_t read = 0; open; ++read) {
      grpc::ByteBuffer buffer;
      stream_->Read(&buffer, this);
      open = Await(!is_stream ? kHang : read == 0 ? kFirstSilence : kSilence);
      if (open && answer_.messages.size() < kKeptAnswers) answer_.messages.push_back(Bytes(buffer));
      if (read == kMaxAnswers) Cut();
    }
  }

  // Whether what was begun succeeded. What is not done by then is cut off.
  bool Await(std::chrono::milliseconds patience) {
    void* tag = nullptr;
    bool ok = false;
    const auto deadline = std::chrono::system_clock::now() + patience;
    if (queue_.AsyncNext(&tag, &ok, deadline) == grpc::CompletionQueue::TIMEOUT) {
      Cut();
      queue_.Next(&tag, &ok);
    }
    return ok;
  }

  void Cut() {
    answer_.cut = true;
    context_.TryCancel();
  }

  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  const std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  Answer answer_;
};

}  // namespace

std::vector<const MethodDescriptor*> AllMethods() {
  std::vector<const MethodDescriptor*> methods;
  // A server does not start while this table lacks a method.
  for (const access::MethodRule& rule : access::MethodTable()) {
    const std::string name = absl::StrReplaceAll(rule.path.substr(1), {{"/", "."}});
    methods.push_back(google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(name));
    if (methods.back() != nullptr) continue;
    std::fprintf(stderr, "%s is unknown\n", name.c_str());
    std::abort();
  }
  const auto* const workers = worker::v1::Hello::descriptor()->file()->service(0);
  for (int i = 0; i < workers->method_count(); ++i) methods.push_back(workers->method(i));
  return methods;
}

std::string PathOf(const MethodDescriptor& method) {
  return absl::StrCat(method.service()->full_name(), "/", method.name());
}

const google::protobuf::Message* Prototype(const google::protobuf::Descriptor* type) {
  return google::protobuf::MessageFactory::generated_factory()->GetPrototype(type);
}

Caller::Caller(const std::string& address)
    : stub_(grpc::CreateChannel(address, grpc::InsecureChannelCredentials())) {}

Answer Caller::Call(const MethodDescriptor& method, const std::vector<std::string>& messages) {
  return OneCall(&stub_, method).Make(method, messages);
}

}  // namespace atelier::fuzz
