// The folder of an attempt on a machine that does not see the server's data directory: what it
// fetched for itself, and what it writes until the server has it.
#ifndef ATELIER_SERVER_WORKER_NODE_WORK_H_
#define ATELIER_SERVER_WORKER_NODE_WORK_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "server/worker/lock_file.h"

namespace atelier::worker {

// One for each process; its lock says that the process lives.
class NodeWork {
 public:
  // Makes a folder below `root`, named after `name` (<job>-<attempt>), and removes those that were
  // made so and whose processes have ended; whatever else lies there stays. Errors as
  // MakeOwnFolder.
  static absl::StatusOr<std::unique_ptr<NodeWork>> Create(const std::string& root,
                                                          const std::string& name);
  // Removes it.
  ~NodeWork() { Remove(); }
  NodeWork(const NodeWork&) = delete;
  NodeWork& operator=(const NodeWork&) = delete;

  const std::string& path() const { return path_; }
  const std::string& root() const { return root_; }

  // Removes it with all that is in it, as far as that is possible; doing it again does no harm.
  void Remove();

 private:
  NodeWork(std::string root, std::string path, LockFile lock)
      : root_(std::move(root)), path_(std::move(path)), lock_(std::move(lock)) {}

  const std::string root_;
  const std::string path_;
  const LockFile lock_;
};

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_NODE_WORK_H_
