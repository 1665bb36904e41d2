// Keys of objects, behind the prefix, that several read. Thread-safe: pure functions.
#ifndef ATELIER_SERVER_OBJECTS_OBJECT_KEYS_H_
#define ATELIER_SERVER_OBJECTS_OBJECT_KEYS_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace atelier::objects {

// The registry that replicas follow.
inline constexpr char kRegistryKey[] = "registry.pb";

inline std::string DatasetKey(absl::string_view dataset, std::int64_t version) {
  return absl::StrCat("datasets/", dataset, "/", version, "/packed.dataset");
}

// Of the model that a job made.
inline std::string ModelKey(absl::string_view job_id) {
  return absl::StrCat(job_id, "/output/model.tar.gz");
}

}  // namespace atelier::objects

#endif  // ATELIER_SERVER_OBJECTS_OBJECT_KEYS_H_
