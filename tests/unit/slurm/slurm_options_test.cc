#include "server/slurm/slurm_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace atelier::slurm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string ProblemOf(const std::map<std::string, std::string>& flags) {
  return std::string(SlurmOptions::Create(flags).status().message());
}

TEST(SlurmOptionsTest, FlagsBecomeArguments) {
  const auto options = SlurmOptions::Create({{"slurm_partition", "gpu"},
                                             {"slurm_account", "lab"},
                                             {"slurm_qos", "long"},
                                             {"slurm_gres", "gpu:1"},
                                             {"slurm_args", "--exclude=n7  --nice=10"},
                                             {"slurm_allow", "time,qos"}});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_THAT(options->arguments, ElementsAre("--partition=gpu", "--account=lab", "--qos=long",
                                              "--exclude=n7", "--nice=10"));
  EXPECT_EQ(options->gres, "gpu:1");
  EXPECT_THAT(options->allowed, ElementsAre("time", "qos"));
}

TEST(SlurmOptionsTest, WrongFlagsAreNamed) {
  EXPECT_THAT(ProblemOf({{"slurm_args", "-p gpu"}}), HasSubstr("--slurm_args: '-p'"));
  EXPECT_THAT(ProblemOf({{"slurm_args", "--comment=x"}}), HasSubstr("--slurm_args: --comment"));
  EXPECT_THAT(ProblemOf({{"slurm_allow", "time,wrap"}}), HasSubstr("--slurm_allow: --wrap"));
  EXPECT_THAT(ProblemOf({{"slurm_partition", "a\nb"}}), HasSubstr("--slurm_partition: "));
  EXPECT_THAT(ProblemOf({{"slurm_gres", "gpu\t1"}}), HasSubstr("--slurm_gres: "));
}

TEST(SlurmOptionsTest, JobsGiveWhatIsAllowedAndNothingElse) {
  const SlurmOptions none;
  EXPECT_TRUE(none.CheckArguments({}).ok());
  EXPECT_THAT(std::string(none.CheckArguments({"--time=5"}).message()),
              HasSubstr("it lets them give none; its operator chooses by --slurm_allow"));
  SlurmOptions some;
  some.allowed = {"time", "qos"};
  EXPECT_TRUE(some.CheckArguments({"--time=5", "--qos=high"}).ok());
  const absl::Status refused = some.CheckArguments({"--time=5", "--partition=gpu"});
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("--partition is not an argument"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("time, qos"));
  EXPECT_FALSE(some.CheckArguments({"time=5"}).ok());
  EXPECT_FALSE(some.CheckArguments(std::vector<std::string>(33, "--time=5")).ok());
}

}  // namespace
}  // namespace atelier::slurm
