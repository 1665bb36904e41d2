// Reads JSON that somebody else wrote: what is missing or of another type is empty.
#ifndef ATELIER_SERVER_KUBERNETES_JSON_FIELDS_H_
#define ATELIER_SERVER_KUBERNETES_JSON_FIELDS_H_

#include <string>

#include "nlohmann/json.hpp"

namespace atelier::kubernetes {

// The value at a path such as "/status/phase"; null if there is none.
inline const nlohmann::json& FieldOf(const nlohmann::json& object, const char* path) {
  static const nlohmann::json null;
  const nlohmann::json::json_pointer pointer(path);
  return object.contains(pointer) ? object.at(pointer) : null;
}

inline std::string TextOf(const nlohmann::json& object, const char* path) {
  const nlohmann::json& field = FieldOf(object, path);
  return field.is_string() ? field.get<std::string>() : "";
}

// The list at a path, to loop over; without elements if there is none.
inline const nlohmann::json& ListOf(const nlohmann::json& object, const char* path) {
  static const nlohmann::json empty = nlohmann::json::array();
  const nlohmann::json& field = FieldOf(object, path);
  return field.is_array() ? field : empty;
}

}  // namespace atelier::kubernetes

#endif  // ATELIER_SERVER_KUBERNETES_JSON_FIELDS_H_
