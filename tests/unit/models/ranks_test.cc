// Trainings whose shards are shared by ranks, each a thread here, against one that runs all of
// them.
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/base/failure.h"
#include "models/ranks/gloo_ranks.h"
#include "models/training/trainer.h"
#include "tests/unit/models/small_training.h"
#include "tests/unit/models/temporary_folder.h"

namespace atelier::models {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;

// Where the ranks of one training find each other.
class Board {
 public:
  RankOptions OptionsOf(int rank, int size) {
    RankOptions options;
    options.rank = rank;
    options.size = size;
    options.address = "127.0.0.1";
    options.timeout = options.patience = milliseconds(20'000);
    options.share = [this](const std::map<std::string, std::string>& mine,
                           const std::string& wanted) -> std::optional<std::string> {
      const std::scoped_lock lock(mutex_);
      for (const auto& [key, value] : mine) values_[key] = value;
      const auto found = values_.find(wanted);
      return found == values_.end() ? std::nullopt : std::optional(found->second);
    };
    return options;
  }

  void Forget() {
    const std::scoped_lock lock(mutex_);
    values_.clear();
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::string> values_;
};

// What `work` answers on each rank.
template <typename Work>
auto OnRanks(int size, const Work& work) {
  Board board;
  std::vector<std::future<decltype(work(nullptr, 0))>> running;
  for (int rank = 0; rank < size; ++rank) {
    running.push_back(std::async(std::launch::async, [&, rank] {
      auto ranks = JoinRanks(board.OptionsOf(rank, size));
      EXPECT_TRUE(ranks.ok()) << ranks.status();
      return work(ranks->get(), rank);
    }));
  }
  std::vector<decltype(work(nullptr, 0))> answers;
  for (auto& rank : running) answers.push_back(rank.get());
  return answers;
}

struct Trained {
  absl::Status status;
  TrainingOutcome outcome;
  TrainedModel model;
};

Trained Train(const TrainingOptions& options, RankGroup* ranks,
              const CheckpointOptions& checkpoints = {}, const StopSignal* stop = nullptr,
              TrainingObserver* observer = nullptr) {
  const auto trainer = Trainer::Create(options, SmallDataset(), checkpoints, nullptr, ranks);
  if (!trainer.ok()) return {trainer.status(), {}, {}};
  auto outcome = (*trainer)->Run(observer, stop);
  if (!outcome.ok()) return {outcome.status(), {}, {}};
  return {absl::OkStatus(), *std::move(outcome), (*trainer)->CurrentModel()};
}

void ExpectSame(const Trained& trained, const Trained& alone) {
  ASSERT_TRUE(trained.status.ok()) << trained.status;
  ASSERT_EQ(trained.model.tensors.size(), alone.model.tensors.size());
  for (size_t i = 0; i < alone.model.tensors.size(); ++i) {
    EXPECT_EQ(trained.model.tensors[i].values, alone.model.tensors[i].values)
        << alone.model.tensors[i].name;
  }
  ASSERT_EQ(trained.outcome.history.size(), alone.outcome.history.size());
  for (size_t i = 0; i < alone.outcome.history.size(); ++i) {
    EXPECT_EQ(trained.outcome.history[i].training_loss, alone.outcome.history[i].training_loss);
    EXPECT_EQ(trained.outcome.history[i].training_accuracy,
              alone.outcome.history[i].training_accuracy);
  }
}

class RanksPathTest : public testing::TestWithParam<PathCase> {};

INSTANTIATE_TEST_SUITE_P(All, RanksPathTest, testing::ValuesIn(AllPaths()),
                         [](const auto& path) { return path.param.name; });

// The last step of an epoch has fewer images than shards, so some ranks have nothing to do then.
TEST_P(RanksPathTest, MakeTheSameBitsAsOneProcess) {
  TrainingOptions options = GetParam().options;
  options.shards = 5;
  options.batch_size = 55;
  options.epochs = 1;
  options.average_decay = 0.9;
  const Trained alone = Train(options, nullptr);
  for (const int size : {2, 3}) {
    const auto trained =
        OnRanks(size, [&](RankGroup* ranks, int) { return Train(options, ranks); });
    for (const Trained& rank : trained) ExpectSame(rank, alone);
  }
}

TEST(RanksTest, MakeTheSameBitsWithEveryRuleAndWithChangedGradients) {
  for (const Optimizer optimizer : {Optimizer::kSgd, Optimizer::kRmsprop, Optimizer::kMuon}) {
    TrainingOptions options = SmallOptions();
    options.shards = 4;
    options.epochs = 1;
    options.optimizer = optimizer;
    options.max_gradient_norm = 0.5;
    options.balance_classes = true;
    const Trained alone = Train(options, nullptr);
    const auto trained = OnRanks(4, [&](RankGroup* ranks, int) { return Train(options, ranks); });
    for (const Trained& rank : trained) ExpectSame(rank, alone);
  }
}

// Asks its rank to end after a step.
class Ender : public TrainingObserver {
 public:
  explicit Ender(StopSignal* stop) : stop_(stop) {}
  void OnStep(const StepProgress& progress) override {
    if (progress.global_step == 17) stop_->Suspend();
  }

 private:
  StopSignal* const stop_;
};

// Rank 1 of so many is asked to end by an Asker; all end, and so many others go on from there to
// what one process makes. Answers with the outcomes of those that ended.
template <typename Asker>
std::vector<TrainingOutcome> EndAndGoOn(int ended, int going_on) {
  TrainingOptions options = SmallOptions();
  options.shards = 4;
  const TemporaryFolder folder;
  const auto checkpoints = [&](int rank) {
    return CheckpointOptions{rank == 0 ? folder.path() : "", {folder.path()}};
  };
  std::vector<TrainingOutcome> outcomes;
  const auto suspended = OnRanks(ended, [&](RankGroup* ranks, int rank) {
    StopSignal stop;
    Asker asker(&stop);
    return Train(options, ranks, checkpoints(rank), &stop, rank == 1 ? &asker : nullptr);
  });
  for (const Trained& rank : suspended) {
    EXPECT_TRUE(rank.status.ok()) << rank.status;
    EXPECT_EQ(rank.outcome.end, TrainingOutcome::End::kSuspended);
    outcomes.push_back(rank.outcome);
  }
  const Trained alone = Train(options, nullptr);
  const auto resumed = OnRanks(going_on, [&](RankGroup* ranks, int rank) {
    return Train(options, ranks, checkpoints(rank));
  });
  for (const Trained& rank : resumed) ExpectSame(rank, alone);
  return outcomes;
}

TEST(RanksTest, EndTogetherWhicheverIsAskedAndGoOnFromTheCheckpoint) { EndAndGoOn<Ender>(2, 4); }

// Gloo writes to connections that the other side may have left.
TEST(RanksTest, NeedAProcessThatIgnoresSigpipe) { EXPECT_EQ(signal(SIGPIPE, SIG_IGN), SIG_IGN); }

TEST(RanksTest, EndWhenOneIsLost) {
  const auto statuses = OnRanks(3, [&](RankGroup* ranks, int rank) {
    // Leaving closes the connections.
    return rank == 2 ? absl::OkStatus() : Train(SmallOptions(), ranks).status;
  });
  for (const int rank : {0, 1}) {
    EXPECT_EQ(ReasonOf(statuses[static_cast<size_t>(rank)]), FailureReason::kRankLost)
        << statuses[static_cast<size_t>(rank)];
  }
}

TEST(RanksTest, AreRefusedWhenTheyBeginWithDifferentOptions) {
  const auto statuses = OnRanks(2, [&](RankGroup* ranks, int rank) {
    TrainingOptions options = SmallOptions();
    options.seed += rank;
    return Train(options, ranks).status;
  });
  for (const absl::Status& status : statuses) {
    EXPECT_EQ(ReasonOf(status), FailureReason::kRankLost) << status;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("different weights, data or options to begin with"));
  }
}

TEST(RanksTest, AreRefusedOnDifferentMachines) {
  Board board;
  const auto join = [&board](int rank, const std::string& alike) {
    RankOptions options = board.OptionsOf(rank, 2);
    options.alike = alike;
    return JoinRanks(options).status();
  };
  auto other = std::async(std::launch::async, [&] { return join(1, "Atelier 2 on a Zen"); });
  for (const absl::Status& status : {join(0, "Atelier 1 on a Xeon"), other.get()}) {
    EXPECT_EQ(ReasonOf(status), FailureReason::kInvalidSpec) << status;
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("rank 0 is Atelier 1 on a Xeon"),
                                                     HasSubstr("rank 1 is Atelier 2 on a Zen")));
  }
}

TEST(RanksTest, DoNotWaitForOneThatDoesNotCome) {
  Board board;
  RankOptions options = board.OptionsOf(0, 2);
  options.patience = milliseconds(200);
  EXPECT_EQ(ReasonOf(JoinRanks(options).status()), FailureReason::kRankLost);
}

// However long that takes, and where they meet is forgotten meanwhile.
TEST(RanksTest, WaitForOneThatComesLate) {
  Board board;
  const auto join = [&board](int rank) {
    RankOptions options = board.OptionsOf(rank, 3);
    options.timeout = milliseconds(100);
    options.patience = milliseconds(0);
    return JoinRanks(options);
  };
  std::vector<std::future<decltype(join(0))>> early;
  for (const int rank : {0, 2}) {
    early.push_back(std::async(std::launch::async, [&join, rank] { return join(rank); }));
  }
  std::this_thread::sleep_for(milliseconds(700));
  board.Forget();
  const auto late = join(1);
  EXPECT_TRUE(late.ok()) << late.status();
  for (auto& rank : early) {
    const auto joined = rank.get();
    EXPECT_TRUE(joined.ok()) << joined.status();
  }
}

class Sleeper : public TrainingObserver {
 public:
  void OnStep(const StepProgress& progress) override {
    if (progress.global_step == 3) std::this_thread::sleep_for(milliseconds(1500));
  }
};

TEST(RanksTest, WaitForOneThatTakesLong) {
  Board board;
  const auto train = [&board](int rank) {
    RankOptions join = board.OptionsOf(rank, 2);
    join.timeout = milliseconds(400);
    const auto ranks = JoinRanks(join);
    EXPECT_TRUE(ranks.ok()) << ranks.status();
    TrainingOptions options = SmallOptions();
    options.shards = 2;
    options.epochs = 1;
    Sleeper sleeper;
    return Train(options, ranks->get(), {}, nullptr, rank == 1 ? &sleeper : nullptr).status;
  };
  auto other = std::async(std::launch::async, [&] { return train(1); });
  EXPECT_TRUE(train(0).ok());
  EXPECT_TRUE(other.get().ok());
}

// Computes one sum otherwise than the others.
class OddRanks : public RankGroup {
 public:
  explicit OddRanks(RankGroup* ranks) : ranks_(ranks) {}
  int rank() const override { return ranks_->rank(); }
  int size() const override { return ranks_->size(); }
  void Gather(const void* mine, size_t bytes, void* all) override {
    ranks_->Gather(mine, bytes, all);
    if (std::exchange(sums_, false)) static_cast<float*>(all)[0] += 0.01F;
  }
  // What is gathered next is the sum of the gradients.
  void Exchange(const void* pieces, size_t bytes, void* received) override {
    ranks_->Exchange(pieces, bytes, received);
    sums_ = ++exchanges_ == 5;
  }

 private:
  RankGroup* const ranks_;
  int exchanges_ = 0;
  bool sums_ = false;
};

TEST(RanksTest, EndWhenTheyComputeDifferently) {
  TrainingOptions options = SmallOptions();
  options.shards = 2;
  const TemporaryFolder folder;
  const auto statuses = OnRanks(2, [&](RankGroup* ranks, int rank) {
    OddRanks odd(ranks);
    return Train(options, rank == 1 ? &odd : ranks, {rank == 0 ? folder.path() : "", {}}).status;
  });
  for (const absl::Status& status : statuses) {
    EXPECT_EQ(ReasonOf(status), FailureReason::kInternal) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("after epoch 1"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

// Asks its rank to end before the first epoch is validated.
class EpochEnder : public TrainingObserver {
 public:
  explicit EpochEnder(StopSignal* stop) : stop_(stop) {}
  void OnStep(const StepProgress& progress) override {
    if (progress.step == progress.steps_per_epoch) stop_->Suspend();
  }

 private:
  StopSignal* const stop_;
};

// Four shards of three ranks: none is idle.
TEST(RanksTest, EndTogetherBeforeAValidation) {
  for (const TrainingOutcome& outcome : EndAndGoOn<EpochEnder>(3, 3)) {
    EXPECT_TRUE(outcome.history.empty());
  }
}

}  // namespace
}  // namespace atelier::models
