// Events and jobs for tests.
#ifndef ATELIER_TESTS_UNIT_CLIENT_JOB_EVENTS_H_
#define ATELIER_TESTS_UNIT_CLIENT_JOB_EVENTS_H_

#include <cstdint>
#include <string>

#include "atelier/v1/job.pb.h"

namespace atelier::client {

// A job of 20 epochs that was created in second 1,000.
inline v1::TrainingJob MakeJob(v1::JobState state = v1::JOB_STATE_QUEUED) {
  v1::TrainingJob job;
  job.set_name("jobs/night-1");
  job.set_state(state);
  job.mutable_create_time()->set_seconds(1000);
  job.mutable_spec()->set_preset("cnn-3");
  job.mutable_spec()->set_dataset("fashion-mnist");
  job.mutable_spec()->set_epochs(20);
  job.mutable_spec()->set_batch_size(128);
  job.mutable_spec()->set_seed(7);
  return job;
}

inline v1::TrainingJob MakeCompletedJob() {
  v1::TrainingJob job = MakeJob(v1::JOB_STATE_COMPLETED);
  job.mutable_end_time()->set_seconds(1072);
  auto* const result = job.mutable_result();
  result->set_test_accuracy(0.9183);
  result->set_test_loss(0.2312);
  result->set_parameter_count(897802);
  result->set_trainable_parameter_count(896906);
  result->set_best_epoch(3);
  result->set_epochs_trained(5);
  result->set_model_version("models/cnn-3/versions/4");
  return job;
}

inline v1::JobEvent MakeEvent(std::int64_t number, std::int64_t seconds = 1000) {
  v1::JobEvent event;
  event.set_number(number);
  event.mutable_time()->set_seconds(seconds);
  return event;
}

inline v1::JobEvent TransitionEvent(std::int64_t number, v1::JobState state,
                                    const std::string& message = "", std::int64_t seconds = 1000) {
  v1::JobEvent event = MakeEvent(number, seconds);
  event.mutable_transition()->set_state(state);
  event.mutable_transition()->set_message(message);
  return event;
}

inline v1::JobEvent EpochEvent(std::int64_t number, int epoch, bool best = false) {
  v1::JobEvent event = MakeEvent(number);
  auto* const metrics = event.mutable_epoch();
  metrics->set_epoch(epoch);
  metrics->set_training_loss(0.5123);
  metrics->set_training_accuracy(0.819);
  metrics->set_validation_loss(0.3911);
  metrics->set_validation_accuracy(0.856);
  metrics->set_validation_macro_f1(0.85);
  metrics->set_images_per_second(3912);
  metrics->set_seconds(15.2);
  metrics->set_best(best);
  return event;
}

inline v1::JobEvent StepEvent(std::int64_t number, int epoch, int step) {
  v1::JobEvent event = MakeEvent(number);
  auto* const progress = event.mutable_step();
  progress->set_epoch(epoch);
  progress->set_epochs(20);
  progress->set_step(step);
  progress->set_steps_per_epoch(422);
  progress->set_training_loss(0.2431);
  progress->set_training_accuracy(0.912);
  progress->set_images_per_second(3912);
  progress->mutable_time_left()->set_seconds(72);
  return event;
}

inline v1::JobEvent RewoundEvent(std::int64_t number, std::int64_t first_withdrawn, int epoch) {
  v1::JobEvent event = MakeEvent(number);
  event.mutable_rewound()->set_first_withdrawn(first_withdrawn);
  event.mutable_rewound()->set_epoch(epoch);
  return event;
}

}  // namespace atelier::client

#endif  // ATELIER_TESTS_UNIT_CLIENT_JOB_EVENTS_H_
