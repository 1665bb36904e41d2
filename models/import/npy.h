// NumPy's array files (.npy, versions 1 to 3), as far as they hold plain numbers: their header, and
// their numbers as bytes. Pure functions; thread-safe.
#ifndef ATELIER_MODELS_IMPORT_NPY_H_
#define ATELIER_MODELS_IMPORT_NPY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace atelier::models {

struct NpyHeader {
  enum class Type { kBool, kUnsigned, kSigned, kFloat };

  Type type = Type::kUnsigned;
  // Of a number: 1, 2, 4 or 8; 2, 4 or 8 of floats.
  size_t item_bytes = 1;
  bool big_endian = false;
  // Numbers lie column by column: the first dimension runs fastest.
  bool fortran_order = false;
  std::vector<int64_t> shape;

  // As in messages: "float32".
  std::string type_name() const;
  // "60000x28x28"; "scalar".
  std::string shape_text() const;
};

// Reads the header by `read`, which gives so many bytes or fewer at the end. kInvalidArgument, the
// rest of a sentence, for other files and for arrays of anything but numbers.
absl::StatusOr<NpyHeader> ReadNpyHeader(
    absl::FunctionRef<absl::StatusOr<size_t>(void* to, size_t size)> read);

// The numbers of an array that were looked at so far.
struct NumberRange {
  double low = 0;
  double high = 0;
  bool any = false;
  // None was NaN or infinite.
  bool finite = true;

  void Add(double number);
};

// Calls `take` with each number in `bytes`, which are whole numbers of the header's type.
void ForEachNumber(const NpyHeader& header, absl::string_view bytes,
                   absl::FunctionRef<void(double)> take);
void AddToRange(const NpyHeader& header, absl::string_view bytes, NumberRange* range);
// Numbers times `scale`, rounded, which the caller knows to be 0 to 255, one byte each.
void ScaleToBytes(const NpyHeader& header, absl::string_view bytes, double scale, uint8_t* to);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_IMPORT_NPY_H_
