#include "server/worker/further_rank.h"

#include <memory>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/worker/file_line.h"
#include "server/worker/job_run.h"
#include "server/worker/memory_limit.h"
#include "server/worker/server_channel.h"
#include "spdlog/spdlog.h"

namespace atelier::worker {
namespace {

// How long the server may be away before the assignment, as for a session.
constexpr absl::Duration kFirstContact = absl::Seconds(60);

}  // namespace

absl::Status RunFurtherRank(const FurtherRankOptions& options) {
  const absl::Time begin = absl::Now();
  bool assigned = false;
  FileLine line(
      {.channel = DialServer(options.workplace.server), .hello = options.hello, .given_up = [&] {
         return options.stop->Get() != models::StopRequest::kNone ||
                (!assigned && absl::Now() - begin > kFirstContact);
       }});
  auto assignment = line.Join();
  if (!assignment.ok()) return assignment.status();
  assigned = true;
  Workplace workplace(options.workplace);
  if (absl::Status ready = workplace.Prepare(&*assignment, &line); !ready.ok()) {
    StayAway(options.meeting.place, ready, &line);
    return ready;
  }
  const auto ranks = MeetRanks(options.meeting, *assignment, &line);
  if (!ranks.ok()) {
    StayAway(options.meeting.place, ranks.status(), &line);
    return ranks.status();
  }
  if (absl::Status walled = workplace.WallIn(*assignment); !walled.ok()) return walled;
  if (const std::int64_t limit = MemoryLimitOf(*assignment); limit > 0) {
    if (absl::Status limited = LimitAllocations(limit); !limited.ok()) {
      spdlog::warn("{}", std::string(limited.message()));
    }
  }
  return TrainAsFurtherRank(*assignment, ranks->get(), options.stop);
}

}  // namespace atelier::worker
