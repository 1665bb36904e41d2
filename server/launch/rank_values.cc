#include "server/launch/rank_values.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace atelier::launch {

RankValues::Attempt* RankValues::Use(absl::string_view name) {
  const auto found = std::find_if(attempts_.begin(), attempts_.end(),
                                  [name](const Attempt& attempt) { return attempt.name == name; });
  if (found == attempts_.end()) return nullptr;
  attempts_.splice(attempts_.begin(), attempts_, found);
  return &attempts_.front();
}

absl::Status RankValues::Set(absl::string_view attempt, absl::string_view key,
                             absl::string_view value) {
  if (key.empty() || key.size() > kMaxKey || value.size() > kMaxValue) {
    return absl::InvalidArgumentError(absl::StrCat("a value has a key of 1 to ", kMaxKey,
                                                   " bytes and at most ", kMaxValue,
                                                   " bytes of its own"));
  }
  MutexLock lock(&mutex_);
  Attempt* used = Use(attempt);
  if (used == nullptr) {
    if (attempts_.size() == kMaxAttempts) attempts_.pop_back();
    used = &attempts_.emplace_front(Attempt{std::string(attempt), {}});
  }
  const auto known = used->values.find(key);
  if (known == used->values.end() && used->values.size() == kMaxValues) {
    return absl::ResourceExhaustedError(absl::StrCat("an attempt has ", kMaxValues, " values"));
  }
  if (known != used->values.end()) {
    known->second = std::string(value);
  } else {
    used->values.emplace(key, value);
  }
  return absl::OkStatus();
}

std::optional<std::string> RankValues::Get(absl::string_view attempt, absl::string_view key) {
  MutexLock lock(&mutex_);
  const Attempt* const used = Use(attempt);
  if (used == nullptr) return std::nullopt;
  const auto value = used->values.find(key);
  return value == used->values.end() ? std::nullopt : std::optional(value->second);
}

}  // namespace atelier::launch
