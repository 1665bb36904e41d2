// What this process uses of the machine, for the job's resource curve. Not thread-safe.
#ifndef ATELIER_SERVER_WORKER_RESOURCE_SAMPLER_H_
#define ATELIER_SERVER_WORKER_RESOURCE_SAMPLER_H_

#include <string>

#include "absl/time/time.h"
#include "atelier/v1/job.pb.h"

namespace atelier::worker {

class ResourceSampler {
 public:
  // Reads the files of a folder like /proc/self.
  explicit ResourceSampler(std::string proc_dir = "/proc/self");

  // A sample of now, without the bytes sent and received. The utilisation is that since the last
  // sample, or since construction. Storage bytes are those that reached or left the device: pages
  // that were in the kernel's cache do not count. Where /proc/self/io may not be read they are what
  // getrusage counts, in blocks of 512 bytes.
  atelier::v1::ResourceSample Sample();

 private:
  const std::string proc_dir_;
  absl::Duration last_time_;
  double last_cpu_seconds_ = 0;
};

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_RESOURCE_SAMPLER_H_
