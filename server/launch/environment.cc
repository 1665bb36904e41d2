#include "server/launch/environment.h"

#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace atelier::launch {
namespace {

constexpr absl::string_view kNames[] = {"PATH", "HOME", "TMPDIR", "TZ", "LANG", "GLIBC_TUNABLES"};
constexpr absl::string_view kPrefixes[] = {"LC_",   "LD_",     "MALLOC_",   "OMP_",    "GOMP_",
                                           "KMP_",  "MKL_",    "OPENBLAS_", "GOTO_",   "BLIS_",
                                           "DNNL_", "ONEDNN_", "ATEN_",     "TORCH",   "PYTORCH_",
                                           "CUDA_", "CUDNN_",  "CUBLAS_",   "NVIDIA_", "GRPC_"};

// ASAN_OPTIONS, LSAN_OPTIONS, TSAN_OPTIONS, UBSAN_OPTIONS and their ..SYMBOLIZER_PATH.
bool IsSanitizers(absl::string_view name) {
  return absl::EndsWith(name, "SAN_OPTIONS") || absl::EndsWith(name, "SAN_SYMBOLIZER_PATH");
}

bool IsNeeded(absl::string_view name) {
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames) ||
         IsSanitizers(name) ||
         std::any_of(std::begin(kPrefixes), std::end(kPrefixes),
                     [name](absl::string_view prefix) { return absl::StartsWith(name, prefix); });
}

}  // namespace

std::vector<std::string> WorkerEnvironment(const std::vector<std::string>& own) {
  std::vector<std::string> result = own;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const absl::string_view variable(*entry);
    const std::size_t equals = variable.find('=');
    if (equals == absl::string_view::npos || !IsNeeded(variable.substr(0, equals))) continue;
    const absl::string_view name = variable.substr(0, equals + 1);
    const bool overridden = std::any_of(own.begin(), own.end(), [name](const std::string& other) {
      return absl::StartsWith(other, name);
    });
    if (!overridden) result.emplace_back(variable);
  }
  return result;
}

}  // namespace atelier::launch
