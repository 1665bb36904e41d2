// What a worker needs for its assignment, and nothing else is within its walls.
#ifndef ATELIER_SERVER_WORKER_WALLS_H_
#define ATELIER_SERVER_WORKER_WALLS_H_

#include <string>

#include "atelier/worker/v1/worker_service.pb.h"
#include "server/sandbox/sandbox.h"
#include "server/worker/server_channel.h"

namespace atelier::worker {

// Thread-safe: a pure function. Writing is for the attempt's folder and the data sets' cache.
// Imports, which read files of strangers, see their upload alone and make no code while they run.
sandbox::Walls WallsOf(const v1::Assignment& assignment, const ServerLine& server);

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_WALLS_H_
