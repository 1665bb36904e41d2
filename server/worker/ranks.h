// The processes of one attempt that train together: which of them this is, and how it finds the
// others.
#ifndef ATELIER_SERVER_WORKER_RANKS_H_
#define ATELIER_SERVER_WORKER_RANKS_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "atelier/worker/v1/worker_service.pb.h"
#include "models/base/rank_group.h"
#include "server/worker/file_line.h"

namespace atelier::worker {

struct RankPlace {
  int rank = 0;
  int size = 1;
  bool starts_others = false;  // No engine does.
};

// This process's place among `size`. `rank` is what the program was given; below 0, the engine that
// started it says which it is, or else it is the first and starts the others. INVALID_ARGUMENT if
// there is no such place.
absl::StatusOr<RankPlace> PlaceOf(int size, int rank);

// Starts this program again for each further rank, with these arguments and its number. They end
// when this process does. To be called before there are other threads.
absl::Status StartOthers(int size, char** arguments);
// To be called by each of those first: ends this process as soon as the one that started it has.
void EndWithStarter();

struct Meeting {
  RankPlace place;
  std::string network = {};  // Where they reach each other, as IpNetwork; empty: on this machine.
};

// The other processes, once all have come; who is silent for the assignment's lease, or does not
// come for as long on this machine, is lost. From other machines they come when these have room.
// Their values travel by `line`, whose calls must end when this process is to. FailureReason
// kRankLost if one does not come or says that it cannot; kInvalidSpec where their machines or
// versions differ.
absl::StatusOr<std::unique_ptr<models::RankGroup>> MeetRanks(const Meeting& meeting,
                                                             const v1::Assignment& assignment,
                                                             FileLine* line);

// Tells the others why this one does not come, or leaves, unless it is that another was lost.
void SayAbsence(const RankPlace& place, const absl::Status& why, FileLine* line);
// What one said that was lost; empty if it said nothing.
std::string SaidAbsence(FileLine* line);

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_RANKS_H_
