#include "server/rpc/reflection_service.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "server/jobs/page_token.h"
#include "server/rpc/access_interceptor.h"
#include "server/rpc/memory_interceptor.h"
#include "server/rpc/status.h"

namespace atelier::rpc {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using Request = ReflectionService::Request;
using Response = ReflectionService::Response;

constexpr std::size_t kMaxShown = 200;
constexpr std::size_t kMaxRequest = 10'000;  // Bytes; the answer has them, too.

void SetNotFound(const std::string& name, Response* response) {
  response->mutable_error_response()->set_error_code(grpc::StatusCode::NOT_FOUND);
  response->mutable_error_response()->set_error_message(
      absl::StrCat("There is no ", jobs::ClipText(name, kMaxShown), "."));
}

// A file and all that it imports, each once.
void AddFiles(const FileDescriptor& file, std::set<std::string>* added, Response* response) {
  if (!added->insert(file.name()).second) return;
  google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  response->mutable_file_descriptor_response()->add_file_descriptor_proto(
      proto.SerializeAsString());
  for (int i = 0; i < file.dependency_count(); ++i) AddFiles(*file.dependency(i), added, response);
}

void SetFile(const FileDescriptor* file, const std::string& name, Response* response) {
  std::set<std::string> added;
  if (file == nullptr) return SetNotFound(name, response);
  AddFiles(*file, &added, response);
}

// One stream: one request or answer at a time.
class ReflectionReactor final : public grpc::ServerBidiReactor<Request, Response> {
 public:
  ReflectionReactor(const ReflectionService* service, grpc::CallbackServerContext* context)
      : service_(*service) {
    absl::Status status = CheckAdmitted(*context);
    if (status.ok()) status = CheckTaken(*context);
    if (!status.ok()) {
      Finish(ToGrpcStatus(status));
    } else {
      StartRead(&request_);
    }
  }

  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    if (request_.ByteSizeLong() > kMaxRequest) {
      FreeContents(&request_);
      return Finish(ToGrpcStatus(absl::InvalidArgumentError(
          absl::StrCat("A question has at most ", kMaxRequest, " bytes."))));
    }
    response_ = service_.Answer(request_);
    StartWrite(&response_);
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    FreeContents(&response_);
    StartRead(&request_);
  }

  void OnDone() override { delete this; }

 private:
  const ReflectionService& service_;
  Request request_;
  Response response_;
};

}  // namespace

grpc::ServerBidiReactor<Request, Response>* ReflectionService::ServerReflectionInfo(
    grpc::CallbackServerContext* context) {
  return new ReflectionReactor(this, context);
}

Response ReflectionService::Answer(const Request& request) const {
  const DescriptorPool* const pool = DescriptorPool::generated_pool();
  Response response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  switch (request.message_request_case()) {
    case Request::kFileByFilename:
      SetFile(pool->FindFileByName(request.file_by_filename()), request.file_by_filename(),
              &response);
      break;
    case Request::kFileContainingSymbol:
      SetFile(pool->FindFileContainingSymbol(request.file_containing_symbol()),
              request.file_containing_symbol(), &response);
      break;
    case Request::kListServices:
      for (const std::string& service : services_) {
        response.mutable_list_services_response()->add_service()->set_name(service);
      }
      break;
    case Request::kFileContainingExtension:
      // None of our messages has extensions.
      SetNotFound(
          absl::StrCat("extension of ", request.file_containing_extension().containing_type()),
          &response);
      break;
    case Request::kAllExtensionNumbersOfType: {
      const std::string& type = request.all_extension_numbers_of_type();
      if (pool->FindMessageTypeByName(type) == nullptr) {
        SetNotFound(type, &response);
      } else {
        response.mutable_all_extension_numbers_response()->set_base_type_name(type);
      }
      break;
    }
    case Request::MESSAGE_REQUEST_NOT_SET:
      response.mutable_error_response()->set_error_code(grpc::StatusCode::INVALID_ARGUMENT);
      response.mutable_error_response()->set_error_message("The request asks for nothing.");
  }
  return response;
}

}  // namespace atelier::rpc
