#include "server/jobs/job_state.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "absl/time/time.h"
#include "server/jobs/job_change.h"
#include "server/jobs/timestamps.h"

namespace atelier::jobs {
namespace {

v1::JobState State(const std::string& word) {
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  EXPECT_TRUE(v1::JobState_Parse("JOB_STATE_" + word, &state)) << word;
  return state;
}

// The whole life of a job, row by row.
const std::map<std::string, std::set<std::string>> kAllowed = {
    {"UNSPECIFIED", {"QUEUED"}},
    {"QUEUED", {"STARTING", "STOPPING", "STOPPED", "FAILED"}},
    {"STARTING", {"PREPARING", "IMPORTING", "QUEUED", "STOPPING", "FAILED"}},
    {"IMPORTING", {"STORING", "QUEUED", "STOPPING", "FAILED"}},
    {"CHECKING", {"COMPLETED", "QUEUED", "STOPPING", "FAILED"}},
    {"PREPARING", {"TRAINING", "EVALUATING", "CHECKING", "QUEUED", "STOPPING", "FAILED"}},
    {"TRAINING", {"EVALUATING", "QUEUED", "STOPPING", "FAILED"}},
    {"EVALUATING", {"STORING", "COMPLETED", "QUEUED", "STOPPING", "FAILED"}},
    {"STORING", {"COMPLETED", "QUEUED", "STOPPING", "FAILED"}},
    {"STOPPING", {"STOPPED", "FAILED"}},
    {"COMPLETED", {}},
    {"FAILED", {}},
    {"STOPPED", {}},
};

TEST(JobStateTest, AllowsExactlyTheTransitionsOfTheTable) {
  ASSERT_EQ(kAllowed.size(), static_cast<std::size_t>(v1::JobState_ARRAYSIZE));
  for (const auto& [from, allowed] : kAllowed) {
    for (const auto& [to, ignored] : kAllowed) {
      EXPECT_EQ(CanTransition(State(from), State(to)), allowed.contains(to))
          << from << " to " << to;
    }
  }
}

TEST(JobStateTest, NothingLeadsOutOfATerminalStateAndSomethingOutOfEveryOther) {
  for (const auto& [from, allowed] : kAllowed) {
    EXPECT_EQ(IsTerminal(State(from)), allowed.empty()) << from;
  }
}

TEST(JobStateTest, UnknownNumbersLeadNowhere) {
  EXPECT_FALSE(CanTransition(static_cast<v1::JobState>(77), v1::JOB_STATE_QUEUED));
  EXPECT_FALSE(CanTransition(v1::JOB_STATE_QUEUED, static_cast<v1::JobState>(77)));
  EXPECT_EQ(StateWord(static_cast<v1::JobState>(77)), "UNSPECIFIED");
}

TEST(JobChangeTest, NothingEndsBeforeItBeganThoughTheClockIsSetBack) {
  JobRecord record;
  record.job.set_state(v1::JOB_STATE_QUEUED);
  JobChange change(record, absl::FromUnixSeconds(1000));
  ASSERT_TRUE(change.Enter(v1::JOB_STATE_STARTING, "SCHEDULED", "").ok());
  EXPECT_EQ(JobChange(change.record(), absl::FromUnixSeconds(1001)).now(),
            absl::FromUnixSeconds(1001));
  EXPECT_EQ(JobChange(change.record(), absl::FromUnixSeconds(1)).now(),
            absl::FromUnixSeconds(1000));
  *change.record().job.add_attempts()->mutable_start_time() =
      ToTimestamp(absl::FromUnixSeconds(2000));
  EXPECT_EQ(JobChange(change.record(), absl::FromUnixSeconds(1)).now(),
            absl::FromUnixSeconds(2000));
}

TEST(JobStateTest, WordsHaveNoPrefix) { EXPECT_EQ(StateWord(v1::JOB_STATE_STORING), "STORING"); }

}  // namespace
}  // namespace atelier::jobs
