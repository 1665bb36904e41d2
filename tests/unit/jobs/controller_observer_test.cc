// What the controller tells whoever counts.
#include "server/jobs/job_observer.h"
#include "tests/unit/jobs/controller_test_server.h"

namespace atelier::jobs {
namespace {

// Writes down what it is told.
class Notes final : public JobObserver {
 public:
  void Began(const JobCounts& stored) override {
    for (const auto& [state, count] : stored) {
      lines.push_back(absl::StrCat("began with ", count, " ", StateWord(state)));
    }
  }
  void Stored(const JobRecord& record, const std::vector<v1::JobEvent>& events) override {
    std::string line = absl::StrCat(StateWord(record.job.state()), ":");
    for (const v1::JobEvent& event : events) absl::StrAppend(&line, " ", event.number());
    lines.push_back(line);
  }
  void NotStarted(const JobRecord& record, const std::string& /*why*/) override {
    lines.push_back(absl::StrCat("not started ", StateWord(record.job.state())));
  }
  void Deleted(const JobRecord& record) override {
    lines.push_back(absl::StrCat("deleted ", StateWord(record.job.state())));
  }

  std::vector<std::string> lines;
};

class ControllerObserverTest : public ControllerTest {
 protected:
  ControllerObserverTest() {
    observers_ = {&silent_, &notes_};
    Boot();
  }
  ~ControllerObserverTest() override { controller_.reset(); }

  // What was told since the last call.
  std::vector<std::string> Told() { return std::exchange(notes_.lines, {}); }
  using Lines = std::vector<std::string>;

  JobObserver silent_;  // Handles nothing.
  Notes notes_;
};

TEST_F(ControllerObserverTest, TellsOfEveryChangeWithItsEvents) {
  const std::string id = Start();
  EXPECT_EQ(Told(), (Lines{"QUEUED: 1"}));
  controller_->Tick();
  EXPECT_EQ(Told(), (Lines{"QUEUED:", "STARTING: 2"}));  // The first stores the token.
  Attach(id);
  ASSERT_TRUE(Report(id, {Phase(worker::v1::PHASE_PREPARING), Resources()}).ok());
  EXPECT_EQ(Told(), (Lines{"PREPARING: 3 4"}));
}

TEST_F(ControllerObserverTest, TellsNothingOfWhatCouldNotBeStored) {
  disk_->set_full(true);
  EXPECT_FALSE(controller_->Start(Request()).ok());
  EXPECT_EQ(Told(), Lines{});
}

TEST_F(ControllerObserverTest, TellsWhatAnEarlierServerLeft) {
  ASSERT_TRUE(controller_->Stop(Start()).ok());
  Start();
  Told();
  Boot();
  EXPECT_EQ(Told(), (Lines{"began with 1 QUEUED", "began with 1 STOPPED", "QUEUED:"}));
}

TEST_F(ControllerObserverTest, TellsOfDeletedJobs) {
  const std::string id = Start();
  ASSERT_TRUE(controller_->Stop(id).ok());
  Told();
  ASSERT_TRUE(controller_->Delete(id).ok());
  EXPECT_EQ(Told(), (Lines{"deleted STOPPED"}));
}

TEST_F(ControllerObserverTest, TellsSeveralInTheirOrder) {
  struct After final : JobObserver {
    explicit After(Notes* notes) : before(notes) {}
    void Stored(const JobRecord& /*record*/, const std::vector<v1::JobEvent>& /*events*/) override {
      seen = before->lines.size();
    }
    Notes* const before;
    std::size_t seen = 0;
  } after(&notes_);
  JobObservers both({&notes_, &after});
  both.Began({{v1::JOB_STATE_FAILED, 2}});
  both.Stored({}, {});
  both.NotStarted({}, "");
  both.Deleted({});
  EXPECT_EQ(Told().size(), 4);
  EXPECT_EQ(after.seen, 2) << "after the first";
}

TEST_F(ControllerObserverTest, IsToldOfStartsThatFail) {
  Start();
  Told();
  executor_.FailNextLaunch(absl::UnavailableError("no more processes"));
  controller_->Tick();
  EXPECT_EQ(Told(), (Lines{"QUEUED:", "not started QUEUED"}));
}

}  // namespace
}  // namespace atelier::jobs
