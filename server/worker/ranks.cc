#include "server/worker/ranks.h"

#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
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
// On other machines the data set may have to be fetched first.
constexpr std::chrono::minutes kPatience(10);
constexpr char kThisMachine[] = "127.0.0.1";
// Where one that cannot come says why.
constexpr char kAbsence[] = "absence";

// The processor by the name that it gives itself.
std::string ProcessorName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const absl::string_view text = line;
    if (text.substr(0, 10) != "model name") continue;
    return std::string(absl::StripAsciiWhitespace(text.substr(text.find(':') + 1)));
  }
  return "a processor without a name";
}

// What decides the bits of a training besides what all are told.
std::string Kind() {
  return absl::StrCat("Atelier ", ATELIER_VERSION, " with LibTorch ", models::LibTorchVersion(),
                      " on ", ProcessorName());
}

std::optional<std::string> AskFor(const std::string& key, FileLine* line) {
  v1::ShareValueRequest request;
  request.set_key(key);
  auto answer = line->ShareValue(std::move(request));
  if (!answer.ok()) throw models::RankLost(std::string(answer.status().message()));
  if (!answer->has_value()) return std::nullopt;
  return std::move(*answer->mutable_value());
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
  models::RankOptions options;
  options.rank = meeting.place.rank;
  options.size = meeting.place.size;
  options.address = kThisMachine;
  options.timeout = std::chrono::milliseconds(
      google::protobuf::util::TimeUtil::DurationToMilliseconds(assignment.lease()));
  options.patience = options.timeout;
  options.alike = Kind();
  if (!meeting.network.empty()) {
    options.patience = kPatience;
    const auto network = IpNetwork::Parse(meeting.network);
    auto address = network.ok() ? network->OwnAddress() : network.status();
    if (!address.ok()) {
      return models::Failure(models::FailureReason::kRankLost, address.status().message());
    }
    options.address = *std::move(address);
  }
  options.set = [line](const std::string& key, const std::string& value) {
    v1::ShareValueRequest request;
    request.set_key(key);
    request.set_value(value);
    const auto answer = line->ShareValue(std::move(request));
    if (!answer.ok()) throw models::RankLost(std::string(answer.status().message()));
  };
  options.get = [line](const std::string& key) {
    auto value = AskFor(key, line);
    if (value.has_value()) return value;
    if (const auto absence = AskFor(kAbsence, line)) throw models::RankLost(*absence);
    return value;
  };
  auto ranks = models::JoinRanks(options);
  if (ranks.ok()) {
    spdlog::info("rank {} of {}, at {}", options.rank, options.size, options.address);
  }
  return ranks;
}

void StayAway(const RankPlace& place, const absl::Status& why, FileLine* line) {
  v1::ShareValueRequest request;
  request.set_key(kAbsence);
  request.set_value(absl::StrCat("rank ", place.rank, " does not come: ", why.message()));
  line->ShareValue(std::move(request)).status().IgnoreError();
}

}  // namespace atelier::worker
