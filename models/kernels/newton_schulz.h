// The step of a matrix under Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/):
// a matrix is replaced by one with the same singular vectors whose singular values are near 1, by
// five steps of a Newton–Schulz iteration, X ← a·X + (b·XXᵀ + c·(XXᵀ)²)·X with a = 3.4445,
// b = -4.7750, c = 2.0315. The singular values end between 0.7 and 1.2, those below a thousandth of
// the matrix' norm lower. Computed by the panel kernels. Not thread-safe; Run shares its work out.
#ifndef ATELIER_MODELS_KERNELS_NEWTON_SCHULZ_H_
#define ATELIER_MODELS_KERNELS_NEWTON_SCHULZ_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "models/base/float_buffer.h"
#include "models/base/thread_team.h"

namespace atelier::models {

class NewtonSchulz {
 public:
  // For matrices of that shape; zero at first. Throws std::bad_alloc.
  NewtonSchulz(int64_t rows, int64_t columns);

  // The matrix, in place, row by row.
  float& at(int64_t row, int64_t column) {
    return values_.data()[wide_ ? column * width_ + row : row * width_ + column];
  }
  // Orthogonalises it; results do not depend on the team's size. A matrix of zeros stays one.
  void Run(ThreadTeam& team);

 private:
  // Rows of the stored matrix that are one piece of work.
  static constexpr int64_t kRows = 256;

  int64_t pieces() const { return (height_ + kRows - 1) / kRows; }
  int64_t rows_of(int64_t piece) const { return std::min(kRows, height_ - piece * kRows); }
  void Normalize(ThreadTeam& team);
  // One step of the iteration.
  void Iterate(ThreadTeam& team);
  // From the pieces' products to what the matrix is multiplied with: a·I + b·G + c·G².
  void MakePolynomial();

  // The longer side counts rows, so a wide matrix is stored transposed; the other is padded to a
  // panel's width by zeros.
  const bool wide_;
  const int64_t height_;
  const int64_t width_;
  FloatBuffer values_;
  FloatBuffer next_;
  // Each piece's part of G, the product of the transposed matrix and the matrix, in panels.
  std::vector<FloatBuffer> products_;
  // G row by row, its square, and the polynomial in panels.
  FloatBuffer gram_;
  FloatBuffer square_;
  FloatBuffer polynomial_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_KERNELS_NEWTON_SCHULZ_H_
