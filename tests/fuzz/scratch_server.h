// A real server for fuzz targets, over a data directory that a small backup of the corpus fills:
// two jobs that have ended, a model, a data set. Its workers do nothing. One thread uses it.
#ifndef ATELIER_TESTS_FUZZ_SCRATCH_SERVER_H_
#define ATELIER_TESTS_FUZZ_SCRATCH_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "server/server.h"
#include "tests/fuzz/calls.h"

namespace atelier::fuzz {

class ScratchServer {
 public:
  ScratchServer();
  ~ScratchServer();

  // Replaces the data directory by that of the backup; not while it runs.
  void Restore();
  // Errors as Server::Start.
  absl::Status Start();
  // As if it was killed, and its workers with it.
  void Stop();

  const std::string& data_dir() const { return data_dir_; }
  // Calls a method of clients or workers. Requires that it runs.
  Answer Call(const google::protobuf::MethodDescriptor& method,
              const std::vector<std::string>& messages);

  // Aborts if anything lies beside the data directory.
  void CheckSurroundings() const;

 private:
  const std::string data_dir_;
  const std::string program_;
  std::unique_ptr<server::Server> server_;
  std::unique_ptr<Caller> clients_;
  std::unique_ptr<Caller> workers_;
};

}  // namespace atelier::fuzz

#endif  // ATELIER_TESTS_FUZZ_SCRATCH_SERVER_H_
