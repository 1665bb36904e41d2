// WorkerService: files for workers that do not see the data directory.
#include <functional>
#include <string>
#include <utility>

#include "server/launch/worker_service.h"

namespace atelier::launch {
namespace {

using worker::v1::Assignment;

grpc::Status EndOf(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

// Answers a call with what `work` makes of the assignment of who calls, on a thread of the queue.
template <typename Request, typename Response>
grpc::ServerUnaryReactor* Answer(
    grpc::CallbackServerContext* context, SessionHost* host, TaskQueue* queue,
    const Request* request, Response* response,
    std::function<absl::StatusOr<Response>(const Assignment&, const Request&)> work) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  if (queue == nullptr) {
    reactor->Finish({grpc::StatusCode::UNIMPLEMENTED, "this server gives workers no files"});
    return reactor;
  }
  const auto task = [=, work = std::move(work)] {
    const auto assignment = host->Assigned(request->worker());
    if (!assignment.ok()) return reactor->Finish(EndOf(assignment.status()));
    auto answer = work(*assignment, *request);
    if (!answer.ok()) return reactor->Finish(EndOf(answer.status()));
    *response = *std::move(answer);
    reactor->Finish(grpc::Status::OK);
  };
  if (!queue->TryAdd(task)) {
    reactor->Finish({grpc::StatusCode::UNAVAILABLE, "too many files are on their way; wait"});
  }
  return reactor;
}

}  // namespace

grpc::ServerUnaryReactor* WorkerService::ListFiles(grpc::CallbackServerContext* context,
                                                   const worker::v1::ListFilesRequest* request,
                                                   worker::v1::ListFilesResponse* response) {
  return Answer<worker::v1::ListFilesRequest, worker::v1::ListFilesResponse>(
      context, host_, transfers_, request, response,
      [this](const Assignment& assignment, const worker::v1::ListFilesRequest& asked) {
        return files_->List(assignment, asked.kind());
      });
}

grpc::ServerUnaryReactor* WorkerService::ReadFile(grpc::CallbackServerContext* context,
                                                  const worker::v1::ReadFileRequest* request,
                                                  worker::v1::ReadFileResponse* response) {
  return Answer<worker::v1::ReadFileRequest, worker::v1::ReadFileResponse>(
      context, host_, transfers_, request, response,
      [this](const Assignment& assignment, const worker::v1::ReadFileRequest& asked) {
        return files_->Read(assignment, asked);
      });
}

grpc::ServerUnaryReactor* WorkerService::WriteFile(grpc::CallbackServerContext* context,
                                                   const worker::v1::WriteFileRequest* request,
                                                   worker::v1::WriteFileResponse* response) {
  return Answer<worker::v1::WriteFileRequest, worker::v1::WriteFileResponse>(
      context, host_, transfers_, request, response,
      [this](const Assignment& assignment, const worker::v1::WriteFileRequest& asked)
          -> absl::StatusOr<worker::v1::WriteFileResponse> {
        auto written = files_->Write(assignment, asked);
        // An attempt that ended meanwhile leaves nothing half written.
        if (const auto still = host_->Assigned(asked.worker()); absl::IsAborted(still.status())) {
          transfers::AttemptFiles::RemoveParts(assignment);
          return still.status();
        }
        return written;
      });
}

}  // namespace atelier::launch
