#include "server/rpc/upload_reactor.h"

#include <string>
#include <utility>

#include "server/jobs/resource_names.h"
#include "server/rpc/access_interceptor.h"
#include "server/rpc/ownership.h"
#include "server/rpc/status.h"

namespace atelier::rpc {
namespace {

// A piece in its message, with what gRPC holds of it beside.
constexpr std::int64_t kHeld = 2 * static_cast<std::int64_t>(uploads::UploadWriter::kMaxPiece);

}  // namespace

UploadReactor::UploadReactor(const Dependencies& with, const grpc::ServerContextBase* context,
                             v1::Upload* response)
    : with_(with),
      response_(response),
      caller_(CallerOf(*context)),
      share_(with.streams->memory(), context) {}

grpc::ServerReadReactor<v1::WriteUploadRequest>* UploadReactor::Start(
    const Dependencies& with, const grpc::ServerContextBase* context, v1::Upload* response) {
  const std::shared_ptr<UploadReactor> reactor(new UploadReactor(with, context, response));
  reactor->self_ = reactor;
  absl::Status status = CheckAdmitted(*context);
  if (status.ok()) status = with.streams->Add(reactor);
  if (status.ok()) status = reactor->share_.Hold(kHeld);
  if (status.ok()) {
    reactor->StartRead(&reactor->request_);
  } else {
    reactor->FinishWith(status);
  }
  return reactor.get();
}

void UploadReactor::OnReadDone(bool ok) {
  Post(ok ? &UploadReactor::TakePiece : &UploadReactor::TakeEnd);
}

void UploadReactor::Post(void (UploadReactor::*step)()) {
  const bool added =
      with_.tasks->TryAdd([self = shared_from_this(), step] { (self.get()->*step)(); });
  if (!added) FinishWith(ServerBusy());
}

absl::Status UploadReactor::Write() {
  if (writer_ == nullptr) {
    const auto id = jobs::ParseUploadName(request_.name());
    if (!id.ok()) return id.status();
    if (auto status = CheckOwnUpload(with_.uploads, *caller_, *id); !status.ok()) return status;
    auto writer = with_.uploads->OpenWriter(*id, request_.offset());
    if (!writer.ok()) return writer.status();
    writer_ = *std::move(writer);
  }
  return writer_->Write(request_.offset(), request_.data());
}

void UploadReactor::TakePiece() {
  const absl::Status written = Write();
  if (!written.ok()) return FinishWith(written);
  absl::MutexLock lock(&mutex_);
  if (!finished_) StartRead(&request_);
}

// The client has sent its last piece, or is gone: then nobody hears the answer.
void UploadReactor::TakeEnd() {
  if (writer_ == nullptr) {
    return FinishWith(absl::InvalidArgumentError("The call has no piece; send at least one."));
  }
  auto upload = writer_->Finish();
  if (!upload.ok()) return FinishWith(upload.status());
  writer_.reset();
  absl::MutexLock lock(&mutex_);
  // The response goes with the call.
  if (std::exchange(finished_, true)) return;
  *response_ = *std::move(upload);
  Finish(grpc::Status::OK);
}

void UploadReactor::FinishWith(const absl::Status& status) {
  // Before the client hears of the end, so that it may go on at once.
  writer_.reset();
  absl::MutexLock lock(&mutex_);
  if (!std::exchange(finished_, true)) Finish(ToGrpcStatus(status));
}

// A read that is under way ends with it, and so lets go of the upload.
void UploadReactor::End(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (!std::exchange(finished_, true)) Finish(ToGrpcStatus(status));
}

void UploadReactor::OnCancel() { End(absl::CancelledError("The call was cancelled.")); }

void UploadReactor::OnDone() {
  with_.streams->Remove(this);
  const std::shared_ptr<UploadReactor> last = std::move(self_);
}

}  // namespace atelier::rpc
