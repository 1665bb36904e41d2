// A process of an attempt beyond the first: trains with the others, and leaves everything else,
// also to speak to the server of what happens, to the first.
#ifndef ATELIER_SERVER_WORKER_FURTHER_RANK_H_
#define ATELIER_SERVER_WORKER_FURTHER_RANK_H_

#include "atelier/worker/v1/worker_service.pb.h"
#include "models/base/stop_signal.h"
#include "server/base/worker_exit_code.h"
#include "server/worker/ranks.h"
#include "server/worker/workplace.h"

namespace atelier::worker {

struct FurtherRankOptions {
  v1::Hello hello;
  Workplace::Options workplace;
  Meeting meeting;
  // Asks all ranks to write a checkpoint and end.
  const models::StopSignal* stop = nullptr;
};

// Trains to the end. What this rank alone meets is told to the others and by the exit code; what
// all meet the first rank says.
ExitCode RunFurtherRank(const FurtherRankOptions& options);

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_FURTHER_RANK_H_
