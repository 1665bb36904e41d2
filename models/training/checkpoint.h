// A training, stopped between two steps, as a file: everything that the rest of it depends on, so
// that it goes on bit-identically. (Random numbers need no place in it, see random.h.) The file is
// a line "atelier-checkpoint 2\n", the length of a JSON object as 8 little-endian bytes, the
// object, the tensors' values as little-endian floats in the order the object lists them, and the
// SHA-256 of all of that, as 64 hexadecimal digits. Values and free functions; a folder has one
// writer.
#ifndef ATELIER_MODELS_TRAINING_CHECKPOINT_H_
#define ATELIER_MODELS_TRAINING_CHECKPOINT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/network/trained_model.h"
#include "models/training/trainer.h"

namespace atelier::models {

// The part of an epoch that is done.
struct EpochProgress {
  int64_t step = 0;
  int64_t images = 0;
  int64_t correct = 0;
  double loss_sum = 0;
  double training_seconds = 0;
};

struct TrainingState {
  // TrainingOptions::Fingerprint of the run.
  std::string fingerprint;
  // One entry per finished epoch.
  std::vector<EpochMetrics> history;
  EpochProgress epoch;
  int64_t global_step = 0;
  // 0 while no epoch is finished.
  int64_t best_epoch = 0;
  // Finished epochs of the training that this one continues, see CheckpointOptions; else 0.
  int64_t continued_epochs = 0;
  // Sums over the finished epochs.
  double total_seconds = 0;
  double training_seconds = 0;
  int64_t images = 0;

  std::vector<NamedTensor> weights;
  // Of their moving average; empty if there is none.
  std::vector<NamedTensor> average;
  // What the optimiser remembers: vectors of one number per trainable parameter, in the order of
  // the weights.
  std::vector<std::vector<float>> optimizer_state;
  // Weights of the best epoch; empty while no epoch is finished.
  std::vector<NamedTensor> best_weights;
};

// Makes the folder for checkpoints if it is not there; OK for no folder (empty). kInternal if it
// cannot be written to.
absl::Status PrepareCheckpoints(const std::string& dir);

// Writes `checkpoint-<global step>.ckpt` into `dir`, durably, then removes all checkpoints there
// but this and the newest other one. FailureReason kInternal if it cannot be written.
absl::StatusOr<CheckpointSaved> WriteCheckpoint(const std::string& dir, const TrainingState& state);

// FailureReason kInternal if the file cannot be read or is damaged in any way.
absl::StatusOr<TrainingState> ReadCheckpoint(const std::string& path);

// Checks that a checkpoint is one of a training with those options, whose fingerprint is given.
// kBadData if only the data differ, kInvalidSpec if options do, kInternal if tensors are missing.
absl::Status CheckResumable(const TrainingState& state, const std::string& fingerprint,
                            const TrainingOptions& options);
// The same of the checkpoint of another training that one with those options continues, see
// FixedDifferences.
absl::Status CheckContinuable(const TrainingState& state, const std::string& fingerprint,
                              const TrainingOptions& options);

// The readable checkpoint with the most steps in any of the folders; empty if there is none. Those
// of a version of Atelier that trains by another method than `fingerprint` names are passed over:
// what they began cannot be continued, only begun again.
std::optional<TrainingState> FindNewestCheckpoint(const std::vector<std::string>& dirs,
                                                  const std::string& fingerprint);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TRAINING_CHECKPOINT_H_
