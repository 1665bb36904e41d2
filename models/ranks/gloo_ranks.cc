#include "models/ranks/gloo_ranks.h"

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gloo/allgather.h"
#include "gloo/alltoall.h"
#include "gloo/rendezvous/context.h"
#include "gloo/rendezvous/store.h"
#include "gloo/transport/tcp/device.h"
#include "models/base/exception_guard.h"
#include "models/base/failure.h"

namespace atelier::models {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Between two looks for a value, at first; it doubles up to the longest, since others ask, too.
constexpr milliseconds kPause(10);
constexpr milliseconds kLongestPause(500);
// Of what has to be alike.
constexpr size_t kWords = 1024;
// Of a call, which ends sooner where a rank is lost.
constexpr std::chrono::hours kNoTimeout(24 * 365);
// Gloo's name for the calls of the thread that says that this rank is there.
constexpr uint32_t kBeatTag = 1;
constexpr milliseconds kLongestBeat(1000);
// What it says at last; 0 before.
constexpr char kLeaves = 1;

// Gloo's way to let ranks find each other.
class Meeting final : public gloo::rendezvous::Store {
 public:
  explicit Meeting(const RankOptions& options) : options_(options) {}

  // Until every rank looks for the others: from then on it takes only moments.
  void AwaitAll() {
    mine_[Came(options_.rank)] = "";
    for (int rank = 0; rank < options_.size; ++rank) Await(Came(rank));
  }

  void set(const std::string& key, const std::vector<char>& data) override {
    mine_[key] = std::string(data.begin(), data.end());
    options_.share(mine_, key);
  }
  std::vector<char> get(const std::string& key) override {
    const std::string value = Await(key);
    return {value.begin(), value.end()};
  }
  void wait(const std::vector<std::string>& keys) override {
    for (const std::string& key : keys) Await(key);
  }
  void wait(const std::vector<std::string>& keys, const milliseconds& /*timeout*/) override {
    wait(keys);
  }

 private:
  static std::string Came(int rank) { return absl::StrCat("came/", rank); }

  std::string Await(const std::string& key) const {
    const bool bounded = options_.patience > milliseconds(0);
    auto pause = kPause;
    for (const auto end = Clock::now() + options_.patience; !bounded || Clock::now() < end;) {
      // With this rank's own each time: who keeps them may have lost them.
      if (auto value = options_.share(mine_, key)) return *std::move(value);
      std::this_thread::sleep_for(pause);
      pause = std::min(2 * pause, kLongestPause);
    }
    throw RankLost(
        absl::StrCat("not all came within ", options_.patience.count(), " ms: no ", key));
  }

  const RankOptions& options_;
  std::map<std::string, std::string> mine_;
};

class GlooRanks final : public RankGroup {
 public:
  explicit GlooRanks(const RankOptions& options) : timeout_(options.timeout) {
    Meeting meeting(options);
    meeting.AwaitAll();
    const auto context = std::make_shared<gloo::rendezvous::Context>(options.rank, options.size);
    context->setTimeout(timeout_);
    auto device = gloo::transport::tcp::CreateDevice(options.address.c_str());
    context->connectFullMesh(meeting, device);
    context_ = context;
    beating_ = std::thread([this] { Beat(); });
  }

  // The others learn that this rank has left before its connections close.
  ~GlooRanks() override {
    {
      const std::scoped_lock lock(mutex_);
      leaving_ = true;
    }
    left_.notify_one();
    beating_.join();
  }

  int rank() const override { return context_->rank; }
  int size() const override { return context_->size; }

  void Gather(const void* mine, size_t bytes, void* all) override {
    Call([&] { GatherAs(0, kNoTimeout, mine, bytes, all); });
  }

  void Exchange(const void* pieces, size_t bytes, void* received) override {
    Call([&] {
      const size_t all = bytes * static_cast<size_t>(size());
      gloo::AlltoallOptions options(context_);
      options.setTimeout(kNoTimeout);
      options.setInput(const_cast<char*>(static_cast<const char*>(pieces)), all);
      options.setOutput(static_cast<char*>(received), all);
      gloo::alltoall(options);
    });
  }

 private:
  void GatherAs(uint32_t tag, milliseconds timeout, const void* mine, size_t bytes, void* all) {
    gloo::AllgatherOptions options(context_);
    options.setTag(tag);
    options.setTimeout(timeout);
    options.setInput(const_cast<char*>(static_cast<const char*>(mine)), bytes);
    options.setOutput(static_cast<char*>(all), bytes * static_cast<size_t>(size()));
    gloo::allgather(options);
  }

  template <typename Function>
  void Call(const Function& function) {
    if (lost_) throw RankLost("another rank was lost before");
    try {
      function();
    } catch (const std::exception& error) {
      lost_ = true;
      throw RankLost(error.what());
    }
  }

  // Tells all that this rank is there, until one leaves: who leaves has no more calls to make. With
  // one that is silent for the time-out Gloo ends every connection, and so the calls that wait.
  void Beat() {
    const milliseconds interval = std::min(kLongestBeat, timeout_ / 4);
    std::vector<char> left(static_cast<size_t>(size()));
    while (std::find(left.begin(), left.end(), kLeaves) == left.end()) {
      char leaves = 0;
      {
        std::unique_lock lock(mutex_);
        if (left_.wait_for(lock, interval, [this] { return leaving_; })) leaves = kLeaves;
      }
      try {
        GatherAs(kBeatTag, timeout_, &leaves, 1, left.data());
      } catch (const std::exception&) {
        return;
      }
    }
  }

  const milliseconds timeout_;
  std::shared_ptr<gloo::Context> context_;
  bool lost_ = false;

  std::mutex mutex_;
  std::condition_variable left_;
  bool leaving_ = false;
  std::thread beating_;
};

absl::Status CheckAlike(const RankOptions& options, RankGroup* ranks) {
  std::vector<char> mine(kWords);
  std::copy_n(options.alike.begin(), std::min(options.alike.size(), kWords - 1), mine.begin());
  std::vector<char> all(kWords * static_cast<size_t>(options.size));
  ranks->Gather(mine.data(), kWords, all.data());
  for (int rank = 1; rank < options.size; ++rank) {
    const std::string first = all.data();
    const std::string other = all.data() + kWords * static_cast<size_t>(rank);
    if (first == other) continue;
    return Failure(FailureReason::kInvalidSpec,
                   absl::StrCat("the nodes of a job must be alike, or their results would differ: "
                                "rank 0 is ",
                                first, ", rank ", rank, " is ", other));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<RankGroup>> JoinRanks(const RankOptions& options) {
  return GuardExceptions("joining the ranks", [&]() -> absl::StatusOr<std::unique_ptr<RankGroup>> {
    std::unique_ptr<RankGroup> ranks;
    try {
      ranks = std::make_unique<GlooRanks>(options);
    } catch (const std::exception& error) {
      throw RankLost(error.what());
    }
    if (auto status = CheckAlike(options, ranks.get()); !status.ok()) {
      return status;
    }
    return ranks;
  });
}

}  // namespace atelier::models
