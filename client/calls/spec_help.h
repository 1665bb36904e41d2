// What the help says about the fields of a TrainingSpec. Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_CALLS_SPEC_HELP_H_
#define ATELIER_CLIENT_CALLS_SPEC_HELP_H_

#include <string>
#include <vector>

#include "client/calls/spec_fields.h"

namespace atelier::client {

struct SpecHelp {
  // The kind of value: `N`, `X`, `BOOL`, `NAME` or `SIZE`.
  std::string type;
  // What it is, its words if they are fixed, and its defaults: `Images per step [128]`.
  std::string text;
};

// All fields in the order of the help; those that it does not describe come last.
std::vector<SpecField> FieldsInHelpOrder();

// The type is `VALUE` and the text empty for a field that the help does not describe.
SpecHelp HelpOf(SpecField field);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CALLS_SPEC_HELP_H_
