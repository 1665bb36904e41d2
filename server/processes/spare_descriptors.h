// A few file descriptors kept back, so that a worker can still be started when connections have
// taken all the others. Thread-safe.
#ifndef ATELIER_SERVER_PROCESSES_SPARE_DESCRIPTORS_H_
#define ATELIER_SERVER_PROCESSES_SPARE_DESCRIPTORS_H_

#include <vector>

#include "server/base/mutex.h"

namespace atelier::processes {

class SpareDescriptors {
 public:
  // What starting a process takes at most: its log, the null device, a pipe, a file of /proc, the
  // descriptor it is watched by.
  static constexpr int kCount = 8;

  SpareDescriptors() { Fill(); }
  ~SpareDescriptors() { Free(); }
  SpareDescriptors(const SpareDescriptors&) = delete;
  SpareDescriptors& operator=(const SpareDescriptors&) = delete;

  // Frees them for the next call that opens a file.
  void Free();
  // Takes as many back as there are to be had.
  void Fill();

 private:
  Mutex mutex_;
  std::vector<int> held_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace atelier::processes

#endif  // ATELIER_SERVER_PROCESSES_SPARE_DESCRIPTORS_H_
