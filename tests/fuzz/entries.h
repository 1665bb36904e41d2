// Inputs of several protobuf messages, each for a named place: a method that is called, a column of
// the database.
//
//   atelier.v1.TrainingService/GetJob
//   <message>
//   --next
//   atelier.v1.DatasetService/WriteUpload
//   <message>
//   --more
//   <message>
#ifndef ATELIER_TESTS_FUZZ_ENTRIES_H_
#define ATELIER_TESTS_FUZZ_ENTRIES_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace atelier::fuzz {

struct Place {
  std::string name;
  const google::protobuf::Message* prototype;  // Of what it takes; null for bytes of another kind.
};

struct Entry {
  const Place* place;
  std::vector<std::string> messages;
};

// Each target has its own; never empty.
const std::vector<Place>& Places();

// At most 8 entries. A name that is no place's stands for any one of them, always the same.
std::vector<Entry> ReadEntries(absl::string_view input);
std::string WriteEntries(const std::vector<Entry>& entries);

}  // namespace atelier::fuzz

#endif  // ATELIER_TESTS_FUZZ_ENTRIES_H_
