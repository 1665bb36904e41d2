// Calls of whatever method by its descriptor, with messages as bytes. One thread uses them.
#ifndef ATELIER_TESTS_FUZZ_CALLS_H_
#define ATELIER_TESTS_FUZZ_CALLS_H_

#include <memory>
#include <string>
#include <vector>

#include "google/protobuf/message.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"

namespace atelier::fuzz {

// Every method that clients or workers can call. Aborts if one has no descriptor.
std::vector<const google::protobuf::MethodDescriptor*> AllMethods();

// As `package.Service/Method`.
std::string PathOf(const google::protobuf::MethodDescriptor& method);

const google::protobuf::Message* Prototype(const google::protobuf::Descriptor* type);

struct Answer {
  grpc::Status status;
  std::vector<std::string> messages;  // The first ones.
  bool cut = false;                   // By the caller: it had read enough or waited in vain.
};

class Caller {
 public:
  explicit Caller(const std::string& address);

  // Sends all messages, or the first one where the method takes but one.
  Answer Call(const google::protobuf::MethodDescriptor& method,
              const std::vector<std::string>& messages);

 private:
  grpc::GenericStub stub_;
};

}  // namespace atelier::fuzz

#endif  // ATELIER_TESTS_FUZZ_CALLS_H_
