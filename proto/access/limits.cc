#include "proto/access/limits.h"

namespace atelier::access {
namespace {

constexpr LimitField kFields[] = {
    {"jobs", &Limits::jobs, false},   {"running", &Limits::running, false},
    {"cores", &Limits::cores, false}, {"priority", &Limits::priority, false},
    {"data", &Limits::data, true},    {"models", &Limits::models, true},
    {"calls", &Limits::calls, false}, {"streams", &Limits::streams, false},
};

}  // namespace

absl::Span<const LimitField> LimitFields() { return kFields; }

Limits Combined(const Limits& own, const Limits& general) {
  Limits combined = own;
  for (const LimitField& field : kFields) {
    if (!(combined.*field.value).has_value()) combined.*field.value = general.*field.value;
  }
  return combined;
}

}  // namespace atelier::access
