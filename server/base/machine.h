// What this process may use of the machine. Thread-safe: free functions.
#ifndef ATELIER_SERVER_BASE_MACHINE_H_
#define ATELIER_SERVER_BASE_MACHINE_H_

#include <cstdint>

namespace atelier {

// Processors this process may run on, by its affinity and its container's quota (rounded up); at
// least 1.
int UsableCores();

// Memory in bytes, by the machine and its container's limit; 0 if that cannot be told.
std::int64_t UsableMemory();

// What of `usable` bytes is left to jobs beside a server: it keeps an eighth for itself, at least
// 256 MiB and at most 1 GiB, but leaves 256 MiB. 0 for 0.
std::int64_t MemoryForJobs(std::int64_t usable);

// Lets this process open as many files as the system allows it.
void RaiseFileLimit();

}  // namespace atelier

#endif  // ATELIER_SERVER_BASE_MACHINE_H_
