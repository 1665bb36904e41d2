// How a unary call leaves gRPC's thread: its handler hands over a function, which runs on a task
// queue's thread, where it may wait for locks and the disk.
#ifndef ATELIER_SERVER_RPC_UNARY_H_
#define ATELIER_SERVER_RPC_UNARY_H_

#include <utility>

#include "absl/status/statusor.h"
#include "grpcpp/support/server_callback.h"
#include "server/base/task_queue.h"
#include "server/rpc/access_interceptor.h"
#include "server/rpc/memory_interceptor.h"
#include "server/rpc/status.h"

namespace atelier::rpc {

// Runs `function`, which takes nothing and answers with absl::StatusOr<Response>, and finishes the
// call with what it answered. A call that was cancelled meanwhile is not computed; one that finds
// the queue full is answered at once. The request outlives the function, gRPC keeps it until then.
template <typename Response, typename Function>
void FinishOn(TaskQueue* tasks, grpc::CallbackServerContext* context,
              grpc::ServerUnaryReactor* reactor, Response* response, Function function) {
  const bool added = tasks->TryAdd([context, reactor, response, function = std::move(function)] {
    if (context->IsCancelled()) return reactor->Finish(grpc::Status::CANCELLED);
    absl::StatusOr<Response> answer = function();
    if (!answer.ok()) return reactor->Finish(ToGrpcStatus(answer.status()));
    *response = *std::move(answer);
    reactor->Finish(grpc::Status::OK);
  });
  if (!added) reactor->Finish(ToGrpcStatus(ServerBusy()));
}

// Every unary call begins so: hands `begin` the reactor, on which it finishes the call now or
// later, unless the call is refused: for who makes it (CheckAdmitted) or for want of memory
// (CheckTaken).
template <typename Begin>
grpc::ServerUnaryReactor* BeginUnary(grpc::CallbackServerContext* context, const Begin& begin) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  absl::Status status = CheckAdmitted(*context);
  if (status.ok()) status = CheckTaken(*context);
  if (!status.ok()) {
    reactor->Finish(ToGrpcStatus(status));
  } else {
    begin(reactor);
  }
  return reactor;
}

// FinishOn, for a call that has just come.
template <typename Response, typename Function>
grpc::ServerUnaryReactor* RunUnary(grpc::CallbackServerContext* context, TaskQueue* tasks,
                                   Response* response, Function function) {
  return BeginUnary(context, [&](grpc::ServerUnaryReactor* reactor) {
    FinishOn(tasks, context, reactor, response, std::move(function));
  });
}

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_UNARY_H_
