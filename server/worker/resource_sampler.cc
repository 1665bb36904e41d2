#include "server/worker/resource_sampler.h"

#include <sys/resource.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/proc_file.h"
#include "server/worker/steady_now.h"

namespace atelier::worker {
namespace {

constexpr std::int64_t kKibibyte = 1024;
constexpr std::int64_t kUsageBlock = 512;

rusage Usage() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return usage;
}

double CpuSeconds(const rusage& usage) {
  return absl::ToDoubleSeconds(absl::DurationFromTimeval(usage.ru_utime) +
                               absl::DurationFromTimeval(usage.ru_stime));
}

}  // namespace

ResourceSampler::ResourceSampler(std::string proc_dir)
    : proc_dir_(std::move(proc_dir)),
      last_time_(SteadyNow()),
      last_cpu_seconds_(CpuSeconds(Usage())) {}

atelier::v1::ResourceSample ResourceSampler::Sample() {
  const rusage usage = Usage();
  const absl::Duration time = SteadyNow();
  const double cpu_seconds = CpuSeconds(usage);
  const double wall_seconds = absl::ToDoubleSeconds(time - last_time_);
  atelier::v1::ResourceSample sample;
  sample.set_cpu_seconds(cpu_seconds);
  if (wall_seconds > 0) {
    sample.set_cpu_utilization((cpu_seconds - last_cpu_seconds_) / wall_seconds);
  }
  last_time_ = time;
  last_cpu_seconds_ = cpu_seconds;

  // getrusage's peak would do but for the server's own, which a process keeps from before its exec.
  const std::string status = ReadProcFile(absl::StrCat(proc_dir_, "/status"));
  sample.set_resident_bytes(ProcNumber(status, "VmRSS").value_or(0) * kKibibyte);
  sample.set_peak_resident_bytes(ProcNumber(status, "VmHWM").value_or(0) * kKibibyte);

  const std::string io = ReadProcFile(absl::StrCat(proc_dir_, "/io"));
  sample.set_read_bytes(ProcNumber(io, "read_bytes").value_or(usage.ru_inblock * kUsageBlock));
  sample.set_written_bytes(ProcNumber(io, "write_bytes").value_or(usage.ru_oublock * kUsageBlock));
  return sample;
}

}  // namespace atelier::worker
