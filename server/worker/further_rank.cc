#include "server/worker/further_rank.h"

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "models/base/failure.h"
#include "server/worker/failure_event.h"
#include "server/worker/file_line.h"
#include "server/worker/job_run.h"
#include "server/worker/memory_limit.h"
#include "server/worker/server_channel.h"
#include "server/worker/steady_now.h"
#include "spdlog/spdlog.h"

namespace atelier::worker {
namespace {

// How long the server may be away before the assignment, as for a session.
constexpr absl::Duration kFirstContact = absl::Seconds(60);

// Trains with the others, once all have come.
absl::Status Work(const FurtherRankOptions& options, const v1::Assignment& assignment,
                  Workplace* workplace, FileLine* line) {
  const auto ranks = MeetRanks(options.meeting, assignment, line);
  absl::Status status = ranks.status();
  if (status.ok()) status = workplace->WallIn(assignment);
  if (status.ok()) {
    if (const std::int64_t limit = MemoryLimitOf(assignment); limit > 0) LimitAllocations(limit);
    status = TrainAsFurtherRank(assignment, ranks->get(), options.stop);
  }
  // Before the others lose this one.
  if (!status.ok()) SayAbsence(options.meeting.place, status, line);
  return status;
}

ExitCode End(ExitCode code, const absl::Status& why) {
  spdlog::error("ended: {}", std::string(why.message()));
  return code;
}

}  // namespace

ExitCode RunFurtherRank(const FurtherRankOptions& options) {
  const absl::Duration begin = SteadyNow();
  const auto stopped = [&] { return options.stop->Get() != models::StopRequest::kNone; };
  bool assigned = false;
  FileLine line(
      {.channel = DialServer(options.workplace.server), .hello = options.hello, .given_up = [&] {
         return stopped() || (!assigned && SteadyNow() - begin > kFirstContact);
       }});
  auto assignment = line.Join();
  if (!assignment.ok()) {
    if (absl::IsAborted(assignment.status())) return End(kNotWanted, assignment.status());
    return End(stopped() ? kRankLost : kServerLost, assignment.status());
  }
  assigned = true;
  Workplace workplace(options.workplace);
  const int ranks = options.meeting.place.size;
  if (const absl::Status ready = workplace.Prepare(&*assignment, &line); !ready.ok()) {
    SayAbsence(options.meeting.place, ready, &line);
    return End(EndUnprepared(ready, ranks).value_or(kRankLost), ready);
  }
  const absl::Status done = Work(options, *assignment, &workplace, &line);
  if (done.ok()) return kDelivered;
  const bool memory = models::ReasonOf(done) == models::FailureReason::kOutOfMemory;
  return End(memory ? kOutOfMemory : kRankLost, done);
}

}  // namespace atelier::worker
