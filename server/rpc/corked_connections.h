// Lets the answers of a batch leave together: to each connection, in one segment of TCP's in place
// of one for each answer. The system then works for one segment, and the client wakes once.
//
// gRPC writes each answer as it is given. A connection is corked (TCP_CORK) before the batch's
// first answer to it, so that the system keeps what is written, and uncorked after the last. What
// another thread writes later is not held up: a cork lasts as long as one thread's answers.
#ifndef ATELIER_SERVER_RPC_CORKED_CONNECTIONS_H_
#define ATELIER_SERVER_RPC_CORKED_CONNECTIONS_H_

#include <string>

#include "grpcpp/server_context.h"
#include "server/rpc/peer_connections.h"
#include "server/serving/answer_batches.h"

namespace atelier::rpc {

// Thread-safe.
class CorkedConnections final : public serving::AnswerBatches {
 public:
  // `connections` must live as long.
  explicit CorkedConnections(const PeerConnections* connections) : connections_(connections) {}
  CorkedConnections(const CorkedConnections&) = delete;
  CorkedConnections& operator=(const CorkedConnections&) = delete;

  void Begin() override;
  void End() override;

  // The thread is about to answer this call, or one that came from `peer` as gRPC calls it.
  void Cork(const grpc::ServerContextBase& call);
  void Cork(const std::string& peer);

 private:
  const PeerConnections* const connections_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_CORKED_CONNECTIONS_H_
