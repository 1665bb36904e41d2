// What a worker learns of its server's environment. Thread-safe: a free function.
#ifndef ATELIER_SERVER_LAUNCH_ENVIRONMENT_H_
#define ATELIER_SERVER_LAUNCH_ENVIRONMENT_H_

#include <string>
#include <vector>

namespace atelier::launch {

// `own` (NAME=value each), and of this process's environment what the loader, the C library,
// LibTorch with its arithmetic libraries, CUDA, gRPC and the sanitizers read, where `own` has no
// such name. Everything else stays here: a service's environment may hold secrets.
std::vector<std::string> WorkerEnvironment(const std::vector<std::string>& own);

}  // namespace atelier::launch

#endif  // ATELIER_SERVER_LAUNCH_ENVIRONMENT_H_
