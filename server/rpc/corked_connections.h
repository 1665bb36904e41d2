// Lets the answers of a batch leave together: to each connection, in one segment of TCP's in place
// of one for each answer. The system then works for one segment, and the client wakes once.
//
// gRPC writes each answer as it is given. A connection is corked (TCP_CORK) before the batch's
// first answer to it, so that the system keeps what is written, and uncorked after the last. What
// another thread writes later is not held up: a cork lasts as long as one thread's answers.
#ifndef ATELIER_SERVER_RPC_CORKED_CONNECTIONS_H_
#define ATELIER_SERVER_RPC_CORKED_CONNECTIONS_H_

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/server_context.h"
#include "server/serving/answer_batches.h"

namespace atelier::rpc {

// Thread-safe. Its mutex is a leaf.
class CorkedConnections final : public serving::AnswerBatches {
 public:
  CorkedConnections() = default;
  CorkedConnections(const CorkedConnections&) = delete;
  CorkedConnections& operator=(const CorkedConnections&) = delete;

  // A connection that was accepted. Closing one need not be told: its descriptor's next connection
  // takes its place. Until then a stranger's socket may be corked in its stead, for a moment.
  void Add(int connection);

  void Begin() override;
  void End() override;

  // The thread is about to answer this call, or one that came from `peer` as gRPC calls it.
  void Cork(const grpc::ServerContextBase& call);
  void Cork(const std::string& peer);

 private:
  // Nothing known of it is -1.
  int Find(const std::string& peer) const;

  mutable absl::Mutex mutex_;
  absl::flat_hash_map<std::string, int> connections_ ABSL_GUARDED_BY(mutex_);  // By peer.
  absl::flat_hash_map<int, std::string> peers_ ABSL_GUARDED_BY(mutex_);        // Of each of them.
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_CORKED_CONNECTIONS_H_
