#include "models/ranks/gloo_ranks.h"

#include <algorithm>
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

// Between two looks for a value, at first; it doubles up to the longest, since others ask, too.
constexpr std::chrono::milliseconds kPause(10);
constexpr std::chrono::milliseconds kLongestPause(500);
// Of what has to be alike.
constexpr size_t kWords = 256;

// Gloo's way to let ranks find each other.
class Meeting final : public gloo::rendezvous::Store {
 public:
  explicit Meeting(const RankOptions& options) : options_(options) {}

  void set(const std::string& key, const std::vector<char>& data) override {
    options_.set(key, std::string(data.begin(), data.end()));
  }
  std::vector<char> get(const std::string& key) override {
    const std::string value = Await(key);
    return {value.begin(), value.end()};
  }
  void wait(const std::vector<std::string>& keys) override {
    for (const std::string& key : keys) Await(key);
  }
  void wait(const std::vector<std::string>& keys,
            const std::chrono::milliseconds& /*timeout*/) override {
    wait(keys);
  }

 private:
  std::string Await(const std::string& key) const {
    auto pause = kPause;
    for (const auto end = Clock::now() + options_.patience; Clock::now() < end;) {
      if (auto value = options_.get(key)) return *std::move(value);
      std::this_thread::sleep_for(pause);
      pause = std::min(2 * pause, kLongestPause);
    }
    throw RankLost(
        absl::StrCat("not all came within ", options_.patience.count(), " ms: no ", key));
  }

  const RankOptions& options_;
};

class GlooRanks final : public RankGroup {
 public:
  explicit GlooRanks(const RankOptions& options) {
    const auto context = std::make_shared<gloo::rendezvous::Context>(options.rank, options.size);
    context->setTimeout(options.timeout);
    Meeting meeting(options);
    auto device = gloo::transport::tcp::CreateDevice(options.address.c_str());
    context->connectFullMesh(meeting, device);
    context_ = context;
  }

  int rank() const override { return context_->rank; }
  int size() const override { return context_->size; }

  void Gather(const void* mine, size_t bytes, void* all) override {
    Call([&] {
      gloo::AllgatherOptions options(context_);
      options.setInput(const_cast<char*>(static_cast<const char*>(mine)), bytes);
      options.setOutput(static_cast<char*>(all), bytes * static_cast<size_t>(size()));
      gloo::allgather(options);
    });
  }

  void Exchange(const void* pieces, size_t bytes, void* received) override {
    Call([&] {
      const size_t all = bytes * static_cast<size_t>(size());
      gloo::AlltoallOptions options(context_);
      options.setInput(const_cast<char*>(static_cast<const char*>(pieces)), all);
      options.setOutput(static_cast<char*>(received), all);
      gloo::alltoall(options);
    });
  }

 private:
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

  std::shared_ptr<gloo::Context> context_;
  bool lost_ = false;
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
