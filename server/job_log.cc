#include "server/job_log.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/logging.h"

namespace atelier::server {
namespace {

spdlog::level::level_enum LevelOf(const v1::StateTransition& transition) {
  if (transition.state() == v1::JOB_STATE_FAILED || transition.reason() == "WORKER_LOST") {
    return spdlog::level::warn;
  }
  return spdlog::level::info;
}

std::string StateWord(v1::JobState state) {
  return absl::AsciiStrToLower(absl::StripPrefix(v1::JobState_Name(state), "JOB_STATE_"));
}

void LogTransition(const jobs::JobRecord& record, const v1::StateTransition& transition) {
  LogFields fields = {{"job", record.id},
                      {"state", StateWord(transition.state())},
                      {"reason", transition.reason()}};
  if (transition.attempt() > 0) fields.emplace_back("attempt", absl::StrCat(transition.attempt()));
  if (!record.request_id.empty()) fields.emplace_back("request", record.request_id);
  if (!record.job.creator().empty()) fields.emplace_back("creator", record.job.creator());
  const std::string& version = record.job.result().model_version();
  if (!version.empty()) fields.emplace_back("model", version);
  LogEvent(LevelOf(transition), transition.message(), fields);
}

}  // namespace

void JobLog::Stored(const jobs::JobRecord& record, const std::vector<v1::JobEvent>& events) {
  for (const v1::JobEvent& event : events) {
    if (event.has_transition()) LogTransition(record, event.transition());
  }
}

void JobLog::NotStarted(const jobs::JobRecord& record, const std::string& why) {
  LogEvent(spdlog::level::warn, why, {{"job", record.id}});
}

void JobLog::Deleted(const jobs::JobRecord& record) {
  LogFields fields = {{"job", record.id}};
  if (!record.job.creator().empty()) fields.emplace_back("creator", record.job.creator());
  LogEvent(spdlog::level::info, "Deleted on a client's request.", fields);
}

}  // namespace atelier::server
