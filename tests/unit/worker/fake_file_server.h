// A server for workers' files in this process, whose answers a test chooses. Thread-safe.
#ifndef ATELIER_TESTS_UNIT_WORKER_FAKE_FILE_SERVER_H_
#define ATELIER_TESTS_UNIT_WORKER_FAKE_FILE_SERVER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "atelier/worker/v1/worker_service.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "models/files/sha256.h"
#include "server/worker/file_line.h"

namespace atelier::worker {

class FakeFileServer final : public v1::WorkerService::Service {
 public:
  using Name = std::pair<v1::FileKind, std::int64_t>;
  // What a call is answered with instead of what is there; it counts from 1.
  using Fault = std::function<grpc::Status(int call)>;

  FakeFileServer() {
    grpc::ServerBuilder builder;
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeFileServer() override { server_->Shutdown(std::chrono::system_clock::now()); }

  // Before the first call.
  void set_list_fault(Fault fault) { list_fault_ = std::move(fault); }
  void set_read_fault(Fault fault) { read_fault_ = std::move(fault); }
  void set_write_fault(Fault fault) { write_fault_ = std::move(fault); }

  void Put(v1::FileKind kind, std::int64_t number, std::string content) {
    absl::MutexLock lock(&mutex_);
    files_[{kind, number}] = std::move(content);
  }
  std::map<Name, std::string> files() const {
    absl::MutexLock lock(&mutex_);
    return files_;
  }

  // Calls that were made so far.
  int lists() const {
    absl::MutexLock lock(&mutex_);
    return lists_;
  }
  int reads() const {
    absl::MutexLock lock(&mutex_);
    return reads_;
  }
  int writes() const {
    absl::MutexLock lock(&mutex_);
    return writes_;
  }

  FileLine::Options Line(std::function<bool()> given_up = [] { return false; }) {
    return {.channel = server_->InProcessChannel({}),
            .hello = {},
            .given_up = std::move(given_up),
            .longest_pause = absl::Milliseconds(1)};
  }

 private:
  static grpc::Status Ask(const Fault& fault, int call) {
    return fault ? fault(call) : grpc::Status::OK;
  }

  grpc::Status ListFiles(grpc::ServerContext* /*context*/, const v1::ListFilesRequest* request,
                         v1::ListFilesResponse* response) override {
    absl::ReleasableMutexLock lock(&mutex_);
    const int call = ++lists_;
    lock.Release();
    if (grpc::Status fault = Ask(list_fault_, call); !fault.ok()) return fault;
    absl::MutexLock reading(&mutex_);
    for (auto file = files_.rbegin(); file != files_.rend(); ++file) {
      if (file->first.first != request->kind()) continue;
      v1::ListedFile* listed = response->add_files();
      listed->set_number(file->first.second);
      listed->set_size_bytes(static_cast<std::int64_t>(file->second.size()));
      listed->set_sha256(models::Sha256Of(file->second));
    }
    return grpc::Status::OK;
  }

  grpc::Status ReadFile(grpc::ServerContext* /*context*/, const v1::ReadFileRequest* request,
                        v1::ReadFileResponse* response) override {
    absl::ReleasableMutexLock lock(&mutex_);
    const int call = ++reads_;
    lock.Release();
    if (grpc::Status fault = Ask(read_fault_, call); !fault.ok()) return fault;
    absl::MutexLock reading(&mutex_);
    const std::string& content = files_.at({request->file().kind(), request->file().number()});
    response->set_data(content.substr(static_cast<std::size_t>(request->offset())));
    return grpc::Status::OK;
  }

  grpc::Status WriteFile(grpc::ServerContext* /*context*/, const v1::WriteFileRequest* request,
                         v1::WriteFileResponse* response) override {
    absl::ReleasableMutexLock lock(&mutex_);
    const int call = ++writes_;
    lock.Release();
    if (grpc::Status fault = Ask(write_fault_, call); !fault.ok()) return fault;
    absl::MutexLock writing(&mutex_);
    std::string& content = files_[{request->file().kind(), request->file().number()}];
    content.resize(static_cast<std::size_t>(request->offset()));
    content += request->data();
    response->set_received_bytes(static_cast<std::int64_t>(content.size()));
    response->set_stored(request->file().kind() != v1::FILE_KIND_LOG &&
                         response->received_bytes() == request->size_bytes());
    return grpc::Status::OK;
  }

  Fault list_fault_;
  Fault read_fault_;
  Fault write_fault_;
  mutable absl::Mutex mutex_;
  std::map<Name, std::string> files_ ABSL_GUARDED_BY(mutex_);
  int lists_ ABSL_GUARDED_BY(mutex_) = 0;
  int reads_ ABSL_GUARDED_BY(mutex_) = 0;
  int writes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace atelier::worker

#endif  // ATELIER_TESTS_UNIT_WORKER_FAKE_FILE_SERVER_H_
