// How a step's gradients change a network's parameters: the gradients of all shards are added in
// their order, scaled and clipped where the options want it, and one of the optimisers' rules is
// applied to all that are not frozen. Owns what the optimiser remembers. What comes out depends on
// the number of shards but not of threads. Private to models/. Belongs to one thread; the team
// shares the work out.
#ifndef ATELIER_MODELS_TRAINING_PARAMETER_UPDATE_H_
#define ATELIER_MODELS_TRAINING_PARAMETER_UPDATE_H_

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "models/base/float_buffer.h"
#include "models/base/thread_team.h"
#include "models/compute/training_network.h"
#include "models/kernels/newton_schulz.h"
#include "models/kernels/optimizer_kernels.h"
#include "models/network/training_options.h"

namespace atelier::models {

class ParameterUpdate {
 public:
  // `options`, which must be valid, `network` and `team` must outlive it. Throws std::bad_alloc.
  ParameterUpdate(const TrainingOptions& options, const TrainingNetwork& network, ThreadTeam& team);

  // Changes the parameters by `scale` times the gradients, each laid out as the parameters, added
  // in their order, at a time that counts from 1. When parameters [begin, begin + count) have their
  // new values, `changed` is called with begin and count, on any of the team's threads; every
  // parameter is in one such call.
  void Step(ShardGradients gradients, double scale, int64_t time, double learning_rate,
            absl::FunctionRef<void(int64_t, int64_t)> changed);

  // What the optimiser remembers: options.OptimizerVectors() buffers laid out as the parameters.
  // Adam's first and second moments; the velocity of SGD; RMSprop's mean square and velocity;
  // Adam's two and the velocity of Muon, each zero where the other rule applies.
  const std::vector<FloatBuffer>& state() const { return state_; }

 private:
  // One of Muon's.
  struct Matrix {
    // Its first number in the order of TensorSpecsOf, running statistics left out.
    size_t first;
    int64_t rows;
    int64_t columns;
    NewtonSchulz orthogonal;
  };

  void AddMatrices();
  void FindFrozen();
  // Adds the gradients up, scales them by `scale` and so that their norm is within its limit.
  void SumAndClip(ShardGradients gradients, double scale);
  // Moves Muon's velocities by the gradients, which become zero, and leaves in `matrix_change_`
  // what is to be taken off the parameters.
  void StepMatrices(double learning_rate);
  void StepMatrix(Matrix& matrix, double learning_rate);
  // Changes parameters [begin, begin + count), as the next, but for the frozen ones.
  void UpdateTrained(ShardGradients gradients, int64_t time, double learning_rate, int64_t begin,
                     int64_t count);
  void Update(ShardGradients gradients, int64_t time, double learning_rate, int64_t begin,
              int64_t count);
  // Calls `piece` with begin and count for pieces of the parameters.
  void ForEachPiece(absl::FunctionRef<void(int64_t, int64_t)> piece);
  float* parameters() const { return network_.parameters().data(); }
  // Of the optimiser's momentum; null if it has none.
  float* velocity() const;

  const TrainingOptions& options_;
  const TrainingNetwork& network_;
  ThreadTeam& team_;
  std::vector<FloatBuffer> state_;
  // The gradients where they are scaled, clipped or taken apart, else empty.
  FloatBuffer gradient_;
  std::vector<Matrix> matrices_;
  // Laid out as the parameters; empty unless the optimiser is Muon.
  FloatBuffer matrix_change_;
  // Laid out as the parameters: which are not trained; empty if all are.
  std::vector<bool> frozen_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TRAINING_PARAMETER_UPDATE_H_
