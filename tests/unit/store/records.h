// Jobs, events and versions to store.
#ifndef ATELIER_TESTS_UNIT_STORE_RECORDS_H_
#define ATELIER_TESTS_UNIT_STORE_RECORDS_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "server/jobs/job_store.h"
#include "server/jobs/resource_names.h"

namespace atelier::store {

inline jobs::JobRecord MakeRecord(const std::string& id) {
  jobs::JobRecord record;
  record.id = id;
  record.job.set_name(jobs::JobName(id));
  record.job.set_state(v1::JOB_STATE_QUEUED);
  record.job.add_transitions()->set_state(v1::JOB_STATE_QUEUED);
  record.job.mutable_spec()->set_epochs(20);
  return record;
}

inline v1::JobEvent EpochEvent(std::int64_t number) {
  v1::JobEvent event;
  event.set_number(number);
  event.mutable_epoch()->set_epoch(static_cast<int>(number));
  return event;
}

inline v1::JobEvent StepEvent(std::int64_t number) {
  v1::JobEvent event;
  event.set_number(number);
  event.mutable_step()->set_step(static_cast<int>(number));
  return event;
}

inline v1::ModelVersion MakeVersion(const std::string& model, std::int64_t version,
                                    bool stopped_early = false) {
  v1::ModelVersion message;
  message.set_name(jobs::ModelVersionName(model, version));
  message.set_version(version);
  message.mutable_result()->set_stopped_early(stopped_early);
  return message;
}

}  // namespace atelier::store

#endif  // ATELIER_TESTS_UNIT_STORE_RECORDS_H_
