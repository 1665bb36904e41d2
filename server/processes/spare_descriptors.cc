#include "server/processes/spare_descriptors.h"

#include <fcntl.h>
#include <unistd.h>

namespace atelier::processes {

void SpareDescriptors::Free() {
  MutexLock lock(&mutex_);
  for (const int fd : held_) close(fd);
  held_.clear();
}

void SpareDescriptors::Fill() {
  MutexLock lock(&mutex_);
  while (held_.size() < kCount) {
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    held_.push_back(fd);
  }
}

}  // namespace atelier::processes
