#include "server/worker/ranks.h"

#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/util/time_util.h"
#include "models/base/failure.h"
#include "models/ranks/gloo_ranks.h"
#include "models/torch/libtorch_version.h"
#include "server/base/ip_network.h"
#include "spdlog/spdlog.h"

namespace atelier::worker {
namespace {

// What engines call a process's number: of a step of Slurm, of a pod of an Indexed Job.
constexpr const char* kEngineVariables[] = {"SLURM_PROCID", "JOB_COMPLETION_INDEX"};
constexpr char kThisMachine[] = "127.0.0.1";
// Where one that cannot come says why.
constexpr char kAbsence[] = "absence";

// What one of the processors says of itself by a name in /proc/cpuinfo.
std::string SaidOfProcessor(absl::string_view name) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const absl::string_view text = line;
    const auto colon = text.find(':');
    if (colon == absl::string_view::npos) continue;
    if (absl::StripTrailingAsciiWhitespace(text.substr(0, colon)) != name) continue;
    return std::string(absl::StripAsciiWhitespace(text.substr(colon + 1)));
  }
  return "";
}

// The instructions that a processor has for arithmetic: kernels and LibTorch choose by them. Others
// come and go with Linux's versions.
std::string ArithmeticOf(absl::string_view flags) {
  std::vector<absl::string_view> arithmetic;
  for (const absl::string_view flag : absl::StrSplit(flags, ' ')) {
    for (const absl::string_view kind : {"avx", "amx", "fma", "sse", "asimd", "sve"}) {
      if (absl::StartsWith(flag, kind)) arithmetic.push_back(flag);
    }
  }
  return absl::StrJoin(arithmetic, " ");
}

// What decides the bits of a training besides what all are told.
std::string Kind() {
  std::string flags = SaidOfProcessor("flags");
  if (flags.empty()) flags = SaidOfProcessor("Features");
  return absl::StrCat("Atelier ", ATELIER_VERSION, " with LibTorch ", models::LibTorchVersion(),
                      " on ", SaidOfProcessor("model name"), " with ", ArithmeticOf(flags));
}

// The values of those names that were left, when `mine` were left, too.
absl::StatusOr<v1::ShareValuesResponse> Share(const std::map<std::string, std::string>& mine,
                                              std::initializer_list<std::string> wanted,
                                              FileLine* line) {
  v1::ShareValuesRequest request;
  request.mutable_values()->insert(mine.begin(), mine.end());
  request.mutable_wanted()->Assign(wanted.begin(), wanted.end());
  return line->ShareValues(std::move(request));
}

// Throws RankLost if the attempt is over, or one has said that it does not come.
std::optional<std::string> ShareOrLose(const std::map<std::string, std::string>& mine,
                                       const std::string& wanted, FileLine* line) {
  const auto answer = Share(mine, {wanted, kAbsence}, line);
  if (!answer.ok()) throw models::RankLost(std::string(answer.status().message()));
  const auto& values = answer->values();
  if (const auto found = values.find(wanted); found != values.end()) return found->second;
  if (const auto why = values.find(kAbsence); why != values.end()) {
    throw models::RankLost(why->second);
  }
  return std::nullopt;
}

// Where this process listens for the others.
absl::StatusOr<std::string> OwnAddress(const std::string& network) {
  if (network.empty()) return kThisMachine;
  const auto parsed = IpNetwork::Parse(network);
  return parsed.ok() ? parsed->OwnAddress() : parsed.status();
}

}  // namespace

absl::StatusOr<RankPlace> PlaceOf(int size, int rank) {
  RankPlace place{.rank = rank, .size = size};
  if (size > 1 && rank < 0) {
    place = {.rank = 0, .size = size, .starts_others = true};
    for (const char* name : kEngineVariables) {
      const char* const text = getenv(name);
      if (text == nullptr) continue;
      place.starts_others = false;
      if (!absl::SimpleAtoi(text, &place.rank)) place.rank = -1;
    }
  }
  if (size == 1 && rank < 0) place.rank = 0;
  if (place.rank >= 0 && place.rank < size) return place;
  return absl::InvalidArgumentError(absl::StrCat("rank ", place.rank, " is not among the ", size,
                                                 " of --ranks, which count from 0"));
}

absl::Status StartOthers(int size, char** arguments) {
  // What ends is nobody's to collect.
  signal(SIGCHLD, SIG_IGN);
  for (int rank = 1; rank < size; ++rank) {
    std::string number = absl::StrCat("--rank=", rank);
    std::vector<char*> all;
    for (char** argument = arguments; *argument != nullptr; ++argument) all.push_back(*argument);
    all.push_back(number.data());
    all.push_back(nullptr);
    pid_t pid = 0;
    const int error = posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, all.data(), environ);
    if (error != 0) {
      return absl::UnavailableError(
          absl::StrCat("rank ", rank, " cannot be started: ", strerror(error)));
    }
  }
  return absl::OkStatus();
}

void EndWithStarter() {
  const pid_t starter = getppid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // It may have ended before.
  if (starter == 1 || getppid() != starter) _exit(0);
}

absl::StatusOr<std::unique_ptr<models::RankGroup>> MeetRanks(const Meeting& meeting,
                                                             const v1::Assignment& assignment,
                                                             FileLine* line) {
  auto address = OwnAddress(meeting.network);
  if (!address.ok()) {
    // Another attempt may have another machine.
    SayAbsence(meeting.place, address.status(), line);
    return models::Failure(models::FailureReason::kRankLost, address.status().message());
  }
  models::RankOptions options;
  options.rank = meeting.place.rank;
  options.size = meeting.place.size;
  options.address = *std::move(address);
  options.timeout = std::chrono::milliseconds(
      google::protobuf::util::TimeUtil::DurationToMilliseconds(assignment.lease()));
  // An engine ends all where one cannot come.
  options.patience = meeting.network.empty() ? options.timeout : std::chrono::milliseconds(0);
  options.alike = Kind();
  options.share = [line](const std::map<std::string, std::string>& mine,
                         const std::string& wanted) { return ShareOrLose(mine, wanted, line); };
  auto ranks = models::JoinRanks(options);
  if (ranks.ok()) {
    spdlog::info("rank {} of {}, at {}", options.rank, options.size, options.address);
  }
  return ranks;
}

void SayAbsence(const RankPlace& place, const absl::Status& why, FileLine* line) {
  if (models::ReasonOf(why) == models::FailureReason::kRankLost) return;
  const std::string text = absl::StrCat("rank ", place.rank, ": ", why.message());
  Share({{kAbsence, text}}, {}, line).status().IgnoreError();
}

std::string SaidAbsence(FileLine* line) {
  const auto answer = Share({}, {kAbsence}, line);
  if (!answer.ok()) return "";
  const auto why = answer->values().find(kAbsence);
  return why == answer->values().end() ? "" : why->second;
}

}  // namespace atelier::worker
