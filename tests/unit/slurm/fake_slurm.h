// A Slurm in memory: what its commands answer, as a command runner. Jobs change when the test says
// so.
#ifndef ATELIER_TESTS_UNIT_SLURM_FAKE_SLURM_H_
#define ATELIER_TESTS_UNIT_SLURM_FAKE_SLURM_H_

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/base/mutex.h"
#include "server/launch/command.h"

namespace atelier::slurm {

// Thread-safe.
class FakeSlurm {
 public:
  struct Job {
    std::string state = "PENDING";
    std::string reason = "Priority";
    std::string node = {};
    std::string comment = {};
    std::string exit_code = "0:0";
    bool listed = true;
  };

  launch::CommandRunner runner() {
    return [this](const launch::Command& command) { return Run(command); };
  }

  // What the next calls of a program answer with instead, until it is set to nothing.
  void Answer(const std::string& program, absl::StatusOr<launch::CommandResult> result) {
    MutexLock lock(&mutex_);
    answers_.insert_or_assign(program, std::move(result));
  }
  void AnswerAgain(const std::string& program) {
    MutexLock lock(&mutex_);
    answers_.erase(program);
  }
  // Nothing is taken, and nothing answered.
  void SetDown(bool down) {
    MutexLock lock(&mutex_);
    down_ = down;
  }
  // sbatch takes the next job but its answer is lost.
  void LoseNextAnswer() {
    MutexLock lock(&mutex_);
    lose_answer_ = true;
  }

  void Set(const std::string& id, const Job& job) {
    MutexLock lock(&mutex_);
    const std::string comment = jobs_[id].comment;
    jobs_[id] = job;
    if (job.comment.empty()) jobs_[id].comment = comment;
  }
  Job job(const std::string& id) const {
    MutexLock lock(&mutex_);
    const auto found = jobs_.find(id);
    return found == jobs_.end() ? Job{.state = "ABSENT"} : found->second;
  }
  std::vector<launch::Command> calls(const std::string& program) const {
    MutexLock lock(&mutex_);
    std::vector<launch::Command> found;
    for (const auto& call : calls_) {
      if (NameOf(call) == program) found.push_back(call);
    }
    return found;
  }

 private:
  static std::string NameOf(const launch::Command& command) {
    return std::filesystem::path(command.arguments[0]).filename().string();
  }

  absl::StatusOr<launch::CommandResult> Run(const launch::Command& command) {
    MutexLock lock(&mutex_);
    calls_.push_back(command);
    const std::string name = NameOf(command);
    if (const auto answer = answers_.find(name); answer != answers_.end()) return answer->second;
    if (down_) {
      return launch::CommandResult{
          .exit_code = 1,
          .output = {},
          .errors = absl::StrCat(name,
                                 ": error: Unable to contact slurm controller (connect "
                                 "failure)\n")};
    }
    if (name == "sbatch") return Submit(command);
    if (name == "squeue") return List();
    if (name == "scontrol") return Show(command.arguments.back());
    return Cancel(command);
  }

  absl::StatusOr<launch::CommandResult> Submit(const launch::Command& command)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::string id = absl::StrCat(++last_id_);
    for (absl::string_view argument : command.arguments) {
      if (absl::ConsumePrefix(&argument, "--comment=")) jobs_[id].comment = std::string(argument);
    }
    if (std::exchange(lose_answer_, false)) return absl::DeadlineExceededError("took too long");
    return launch::CommandResult{.exit_code = 0, .output = id + "\n", .errors = {}};
  }
  launch::CommandResult List() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    launch::CommandResult result;
    for (const auto& [id, job] : jobs_) {
      if (!job.listed) continue;
      absl::StrAppend(&result.output, id, "|", job.state, "|", job.reason, "|", job.node, "|",
                      job.comment, "\n");
    }
    return result;
  }
  launch::CommandResult Show(const std::string& id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto job = jobs_.find(id);
    if (job == jobs_.end() || !job->second.listed) {
      return {.exit_code = 1,
              .output = {},
              .errors = "slurm_load_jobs error: Invalid job id specified\n"};
    }
    return {.exit_code = 0,
            .output = absl::StrCat("JobId=", id, " JobState=", job->second.state, " ExitCode=",
                                   job->second.exit_code, " NodeList=", job->second.node, "\n"),
            .errors = {}};
  }
  launch::CommandResult Cancel(const launch::Command& command)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (const std::string& argument : command.arguments) {
      const auto job = jobs_.find(argument);
      if (job != jobs_.end() && !absl::StartsWith(job->second.state, "COMPLET")) {
        job->second.state = "CANCELLED";
      }
    }
    return {};
  }

  mutable Mutex mutex_;
  std::map<std::string, Job> jobs_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, absl::StatusOr<launch::CommandResult>> answers_ ABSL_GUARDED_BY(mutex_);
  std::vector<launch::Command> calls_ ABSL_GUARDED_BY(mutex_);
  bool down_ ABSL_GUARDED_BY(mutex_) = false;
  bool lose_answer_ ABSL_GUARDED_BY(mutex_) = false;
  int last_id_ ABSL_GUARDED_BY(mutex_) = 11;
};

}  // namespace atelier::slurm

#endif  // ATELIER_TESTS_UNIT_SLURM_FAKE_SLURM_H_
