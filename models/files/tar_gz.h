// Small .tar.gz files in memory, by libarchive. Reading trusts nothing: a fixed set of names, plain
// files, sizes within limits. Private to models/. Thread-safe: free functions.
#ifndef ATELIER_MODELS_FILES_TAR_GZ_H_
#define ATELIER_MODELS_FILES_TAR_GZ_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace atelier::models {

struct TarEntry {
  std::string name;
  std::string bytes;
};

// The bytes of an archive of plain files, in that order; the same input gives the same bytes.
absl::StatusOr<std::string> PackTarGz(const std::vector<TarEntry>& entries);

// Reads an archive that must hold each of the names once, as plain files of at most the size beside
// the name, may hold each of the optional ones, and nothing else. kInvalidArgument saying what is
// wrong.
absl::StatusOr<std::map<std::string, std::string>> UnpackTarGz(
    const std::string& bytes, const std::map<std::string, int64_t>& expected,
    const std::map<std::string, int64_t>& optional = {});

}  // namespace atelier::models

#endif  // ATELIER_MODELS_FILES_TAR_GZ_H_
