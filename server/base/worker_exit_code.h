// What a worker's process says by its end to the server that started it.
#ifndef ATELIER_SERVER_BASE_WORKER_EXIT_CODE_H_
#define ATELIER_SERVER_BASE_WORKER_EXIT_CODE_H_

namespace atelier::worker {

enum ExitCode {
  // The attempt's last event is stored by the server, also of an attempt that failed; of a rank
  // beyond the first: it has done its share.
  kDelivered = 0,
  // Wrong flags, or no libatelier_torch.so.
  kUsage = 1,
  // Another process of the attempt was lost, so that another attempt has to try.
  kRankLost = 2,
  // The server does not want the attempt.
  kNotWanted = 3,
  // The server could not be reached for the lease.
  kServerLost = 4,
  // Over its memory limit and unable to say so.
  kOutOfMemory = 5,
  // This machine's disk failed, so that another one has to try.
  kDiskFailed = 6,
  // The server could not give the job's files, so that another attempt has to.
  kNotFetched = 7
};

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_BASE_WORKER_EXIT_CODE_H_
