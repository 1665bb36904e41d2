// WorkerService: the calls beside the sessions.
#include <functional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/jobs/job_kind.h"
#include "server/launch/worker_service.h"

namespace atelier::launch {
namespace {

using worker::v1::Assignment;

// Answers a call with what `work` gives, on a thread of the queue.
template <typename Response>
grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, TaskQueue* queue,
                                 Response* response,
                                 std::function<absl::StatusOr<Response>()> work) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  if (queue == nullptr) {
    reactor->Finish({grpc::StatusCode::UNIMPLEMENTED, "this server gives workers no files"});
    return reactor;
  }
  const auto task = [=, work = std::move(work)] {
    auto answer = work();
    if (!answer.ok()) return reactor->Finish(ToGrpc(answer.status()));
    *response = *std::move(answer);
    reactor->Finish(grpc::Status::OK);
  };
  if (!queue->TryAdd(task)) {
    reactor->Finish({grpc::StatusCode::UNAVAILABLE, "too many calls wait; call again"});
  }
  return reactor;
}

// With what `work` makes of the assignment of who calls.
template <typename Request, typename Response>
grpc::ServerUnaryReactor* AnswerAssigned(
    grpc::CallbackServerContext* context, SessionHost* host, TaskQueue* queue,
    const Request* request, Response* response,
    std::function<absl::StatusOr<Response>(const Assignment&, const Request&)> work) {
  return Answer<Response>(context, queue, response,
                          [=, work = std::move(work)]() -> absl::StatusOr<Response> {
                            const auto assignment = host->Assigned(request->worker());
                            if (!assignment.ok()) return assignment.status();
                            return work(*assignment, *request);
                          });
}

absl::Status CheckRank(const Assignment& assignment, const worker::v1::Hello& hello) {
  const int size = jobs::NodesOf(assignment.spec());
  if (hello.world_size() == size && hello.rank() >= 0 && hello.rank() < size) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("rank ", hello.rank(), " of ", hello.world_size(),
                                                 " is none of the attempt's ", size));
}

}  // namespace

grpc::ServerUnaryReactor* WorkerService::ListFiles(grpc::CallbackServerContext* context,
                                                   const worker::v1::ListFilesRequest* request,
                                                   worker::v1::ListFilesResponse* response) {
  return AnswerAssigned<worker::v1::ListFilesRequest, worker::v1::ListFilesResponse>(
      context, host_, transfers_, request, response,
      [this](const Assignment& assignment, const worker::v1::ListFilesRequest& asked) {
        return files_->List(assignment, asked.kind());
      });
}

grpc::ServerUnaryReactor* WorkerService::ReadFile(grpc::CallbackServerContext* context,
                                                  const worker::v1::ReadFileRequest* request,
                                                  worker::v1::ReadFileResponse* response) {
  return AnswerAssigned<worker::v1::ReadFileRequest, worker::v1::ReadFileResponse>(
      context, host_, transfers_, request, response,
      [this](const Assignment& assignment, const worker::v1::ReadFileRequest& asked) {
        return files_->Read(assignment, asked);
      });
}

grpc::ServerUnaryReactor* WorkerService::WriteFile(grpc::CallbackServerContext* context,
                                                   const worker::v1::WriteFileRequest* request,
                                                   worker::v1::WriteFileResponse* response) {
  return AnswerAssigned<worker::v1::WriteFileRequest, worker::v1::WriteFileResponse>(
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

grpc::ServerUnaryReactor* WorkerService::Join(grpc::CallbackServerContext* context,
                                              const worker::v1::JoinRequest* request,
                                              Assignment* response) {
  return Answer<Assignment>(
      context, tasks_, response, [this, request]() -> absl::StatusOr<Assignment> {
        auto assignment = host_->Join(request->worker());
        if (!assignment.ok()) return assignment.status();
        if (auto status = CheckRank(*assignment, request->worker()); !status.ok()) return status;
        return assignment;
      });
}

grpc::ServerUnaryReactor* WorkerService::ShareValues(grpc::CallbackServerContext* context,
                                                     const worker::v1::ShareValuesRequest* request,
                                                     worker::v1::ShareValuesResponse* response) {
  return AnswerAssigned<worker::v1::ShareValuesRequest, worker::v1::ShareValuesResponse>(
      context, host_, tasks_, request, response,
      [this](const Assignment& assignment, const worker::v1::ShareValuesRequest& asked)
          -> absl::StatusOr<worker::v1::ShareValuesResponse> {
        const worker::v1::Hello& hello = asked.worker();
        absl::Status status = CheckRank(assignment, hello);
        const std::string attempt = absl::StrCat(hello.job(), "/", hello.attempt());
        for (const auto& [key, value] : asked.values()) {
          if (status.ok()) status = rank_values_.Set(attempt, key, value);
        }
        if (!status.ok()) return status;
        worker::v1::ShareValuesResponse answer;
        for (const std::string& key : asked.wanted()) {
          if (auto value = rank_values_.Get(attempt, key)) {
            (*answer.mutable_values())[key] = *std::move(value);
          }
        }
        return answer;
      });
}

}  // namespace atelier::launch
