// Whole numbers of JSON documents that somebody else may have written. nlohmann's own conversions
// take any number, and what 1e99 becomes is undefined. Thread-safe: pure functions.
#ifndef ATELIER_MODELS_BASE_JSON_INTEGER_H_
#define ATELIER_MODELS_BASE_JSON_INTEGER_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

namespace atelier::models {

// Throws std::invalid_argument if it is none.
inline int64_t IntegerOf(const nlohmann::json& value, const std::string& name) {
  if (!value.is_number_integer()) throw std::invalid_argument(name + " is not a whole number");
  return value.get<int64_t>();
}

// The field of an object. Throws nlohmann's exceptions, too.
inline int64_t IntegerAt(const nlohmann::json& object, const char* field) {
  return IntegerOf(object.at(field), field);
}

// The same of a field that may be missing.
inline int64_t IntegerOr(const nlohmann::json& object, const char* field, int64_t missing) {
  return object.contains(field) ? IntegerAt(object, field) : missing;
}

}  // namespace atelier::models

#endif  // ATELIER_MODELS_BASE_JSON_INTEGER_H_
