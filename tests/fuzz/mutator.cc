// How libFuzzer changes inputs of several messages (entries.h): their bytes as any others, and as
// often whole entries and single fields, so that what is nested deeply is reached.
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>

#include "google/protobuf/message.h"
#include "tests/fuzz/entries.h"
#include "tests/fuzz/input.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed);

namespace atelier::fuzz {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using Random = std::minstd_rand;

// Names and words that mean something to the server.
constexpr const char* kWords[] = {"",
                                  "jobs/made",
                                  "jobs/tiny-20261130-071947",
                                  "jobs/import-tiny-20261130-071943",
                                  "experiments/made",
                                  "uploads/made",
                                  "models/tiny",
                                  "models/tiny/versions/1",
                                  "datasets/tiny",
                                  "datasets/tiny/versions/1",
                                  "tiny",
                                  "tiny@1",
                                  "tiny@latest",
                                  "cnn-1",
                                  "made",
                                  "page",
                                  "latest",
                                  "../../x"};
constexpr double kNumbers[] = {0,    1,     -1,   2,          3,           0.5,       1e-9,
                               1e18, 1e308, -1e9, 2147483647, -2147483648, 4294967296};

int Below(Random* random, int limit) {
  return static_cast<int>((*random)() % static_cast<unsigned>(limit));
}

std::string AnyText(const std::string& text, bool is_bytes, Random* random) {
  if (!is_bytes && Below(random, 2) == 0) {
    return kWords[static_cast<std::size_t>(Below(random, std::size(kWords)))];
  }
  std::string changed = text;
  changed.resize(text.size() + 16);
  changed.resize(
      LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(changed.data()), text.size(), changed.size()));
  for (char& c : changed) {
    // Other text would not be parsed.
    if (!is_bytes) c = static_cast<char>(c & 0x7f);
  }
  return changed;
}

double AnyNumber(Random* random) {
  const int chosen = Below(random, 2 * static_cast<int>(std::size(kNumbers)) + 2);
  if (chosen == 0) return std::numeric_limits<double>::quiet_NaN();
  if (chosen == 1) return std::numeric_limits<double>::infinity();
  if (chosen % 2 == 0) return Below(random, 100);
  return kNumbers[static_cast<std::size_t>(chosen / 2 - 1)];
}

std::int64_t AnyInteger(Random* random) {
  if (Below(random, 16) == 0) return std::numeric_limits<std::int64_t>::min();
  if (Below(random, 16) == 0) return std::numeric_limits<std::int64_t>::max();
  const double number = AnyNumber(random);
  return std::abs(number) < 1e18 ? static_cast<std::int64_t>(number) : 7;
}

// Sets a field that is not repeated, or adds to one that is. Not for messages.
void SetAny(Message* message, const FieldDescriptor* field, Random* random) {
  const Reflection* const to = message->GetReflection();
  const bool add = field->is_repeated();
  const auto integer = AnyInteger(random);
  switch (field->cpp_type()) {
#define ATELIER_SET(TYPE, NAME, VALUE)  \
  case FieldDescriptor::CPPTYPE_##TYPE: \
    return add ? to->Add##NAME(message, field, (VALUE)) : to->Set##NAME(message, field, (VALUE));
    ATELIER_SET(INT32, Int32, static_cast<std::int32_t>(integer))
    ATELIER_SET(UINT32, UInt32, static_cast<std::uint32_t>(integer))
    ATELIER_SET(INT64, Int64, integer)
    ATELIER_SET(UINT64, UInt64, static_cast<std::uint64_t>(integer))
    ATELIER_SET(DOUBLE, Double, AnyNumber(random))
    ATELIER_SET(FLOAT, Float, std::nanf(""))
    ATELIER_SET(BOOL, Bool, integer != 0)
    ATELIER_SET(ENUM, EnumValue, Below(random, 17))
    ATELIER_SET(STRING, String,
                AnyText(add ? "" : to->GetString(*message, field),
                        field->type() == FieldDescriptor::TYPE_BYTES, random))
#undef ATELIER_SET
    default:
      return;
  }
}

// Changes one field, at any depth.
void MutateMessage(Message* message, Random* random) {
  const auto* const type = message->GetDescriptor();
  const Reflection* const reflection = message->GetReflection();
  if (type->field_count() == 0) return;
  const FieldDescriptor* const field = type->field(Below(random, type->field_count()));
  const int size = field->is_repeated() ? reflection->FieldSize(*message, field) : 0;
  if (Below(random, 8) == 0) return reflection->ClearField(message, field);
  if (size > 0 && Below(random, 8) == 0) return reflection->RemoveLast(message, field);
  if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return SetAny(message, field, random);
  Message* inner;
  if (!field->is_repeated()) {
    inner = reflection->MutableMessage(message, field);
  } else if (size > 0 && Below(random, 3) > 0) {
    inner = reflection->MutableRepeatedMessage(message, field, Below(random, size));
  } else {
    inner = reflection->AddMessage(message, field);
  }
  MutateMessage(inner, random);
}

void MutateFields(Entry* entry, Random* random) {
  if (entry->place->prototype == nullptr) return;
  std::string& bytes = entry->messages[static_cast<std::size_t>(
      Below(random, static_cast<int>(entry->messages.size())))];
  const std::unique_ptr<Message> message(entry->place->prototype->New());
  if (!message->ParseFromString(bytes)) message->Clear();
  for (int i = Below(random, 3); i >= 0; --i) MutateMessage(message.get(), random);
  bytes = message->SerializeAsString();
}

void MutateEntries(std::vector<Entry>* entries, Random* random) {
  const auto chosen = static_cast<std::size_t>(Below(random, static_cast<int>(entries->size())));
  const auto at = entries->begin() + static_cast<std::ptrdiff_t>(chosen);
  switch (Below(random, 12)) {
    case 0: {
      const Place& place =
          Places()[static_cast<std::size_t>(Below(random, static_cast<int>(Places().size())))];
      entries->insert(at, {&place, {""}});
      return MutateFields(&(*entries)[chosen], random);
    }
    case 1:
      if (entries->size() > 1) entries->erase(at);
      return;
    case 2:
      return std::swap((*entries)[chosen], entries->back());
    case 3:
      return at->messages.push_back(at->messages.back());
    default:
      return MutateFields(&*at, random);
  }
}

}  // namespace
}  // namespace atelier::fuzz

size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  using namespace atelier::fuzz;
  Random random(seed);
  if (Below(&random, 4) == 0) return LLVMFuzzerMutate(data, size, max_size);
  std::vector<Entry> entries = ReadEntries(Text(data, size));
  MutateEntries(&entries, &random);
  const std::string input = WriteEntries(entries);
  if (input.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, input.data(), input.size());
  return input.size();
}
