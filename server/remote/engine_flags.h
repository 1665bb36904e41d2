// Flags of engines, by their names without dashes.
#ifndef ATELIER_SERVER_REMOTE_ENGINE_FLAGS_H_
#define ATELIER_SERVER_REMOTE_ENGINE_FLAGS_H_

#include <map>
#include <string>

namespace atelier::remote {

using EngineFlags = std::map<std::string, std::string>;

// The value of a flag; empty if it is not given.
inline std::string ValueOf(const EngineFlags& flags, const std::string& name) {
  const auto value = flags.find(name);
  return value == flags.end() ? "" : value->second;
}

}  // namespace atelier::remote

#endif  // ATELIER_SERVER_REMOTE_ENGINE_FLAGS_H_
