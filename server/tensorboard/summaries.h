// A job's events as TensorBoard's. Thread-safe: pure functions.
//
// A file begins with the start of a session at step 0, at which a reader drops what it has of the
// job from earlier files.
//
// Series: `step/…` over all optimiser steps and `epoch/…` over epochs, each with training loss and
// accuracy and images a second; `epoch/…` also with validation loss and accuracy, learning rate and
// seconds; loss and accuracy each have a chart of training and validation; `test/loss` and
// `test/accuracy` at the epoch whose weights the model has; pictures `confusion_matrix` and
// `filters`. Hyperparameters are a session of TensorBoard's plugin `hparams`.
#ifndef ATELIER_SERVER_TENSORBOARD_SUMMARIES_H_
#define ATELIER_SERVER_TENSORBOARD_SUMMARIES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "atelier/v1/job.pb.h"
#include "tensorboard/event.pb.h"

namespace atelier::tensorboard {

// A grey picture that stands beside a job's result.
struct Picture {
  std::string tag;
  std::int64_t height = 0;  // Of the picture, in pixels.
  std::int64_t width = 0;
  std::string png;
};

// What a job's file begins with.
std::vector<Event> Heading(const v1::TrainingJob& job);

// What an event says; nothing for most kinds. `pictures` stand beside a result.
std::vector<Event> Summarize(const v1::JobEvent& event, const std::vector<Picture>& pictures);

}  // namespace atelier::tensorboard

#endif  // ATELIER_SERVER_TENSORBOARD_SUMMARIES_H_
