#include "models/network/precision.h"

#include "absl/strings/str_cat.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace atelier::models {

absl::string_view PrecisionName(Precision precision) {
  return precision == Precision::kFloat32 ? "float32" : "bfloat16";
}

absl::StatusOr<Precision> ParsePrecision(absl::string_view name) {
  if (name == "float32") return Precision::kFloat32;
  if (name == "bfloat16") return Precision::kBfloat16;
  return absl::InvalidArgumentError(
      absl::StrCat("precision is '", name, "'; it must be float32 or bfloat16"));
}

Precision ServingPrecision(double float32_accuracy, std::optional<double> bfloat16_accuracy) {
  // An image more or less must not depend on how a fraction is rounded.
  constexpr double kMayCost = 0.001 + 1e-9;
  return bfloat16_accuracy.has_value() && *bfloat16_accuracy >= float32_accuracy - kMayCost
             ? Precision::kBfloat16
             : Precision::kFloat32;
}

bool Bfloat16Supported() {
#if defined(__x86_64__)
  // Leaf 7 of CPUID: AVX512_BF16 is bit 5 of EAX in subleaf 1. avx512f asks the system as well
  // whether it saves the registers.
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __builtin_cpu_supports("avx512f") && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 &&
         (a >> 5 & 1) != 0;
#else
  return false;
#endif
}

}  // namespace atelier::models
