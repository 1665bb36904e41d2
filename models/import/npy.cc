#include "models/import/npy.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace atelier::models {
namespace {

using Type = NpyHeader::Type;

constexpr absl::string_view kMagic("\x93NUMPY", 6);
constexpr size_t kMaxHeaderBytes = size_t{1} << 16;
constexpr size_t kMaxDimensions = 32;

absl::Status Bad(absl::string_view message) { return absl::InvalidArgumentError(message); }

// What follows 'key': in a Python dictionary; empty if it is not there.
absl::string_view ValueOf(absl::string_view dictionary, absl::string_view key) {
  for (const char quote : {'\'', '"'}) {
    const std::string quoted = absl::StrCat(std::string(1, quote), key, std::string(1, quote));
    const size_t at = dictionary.find(quoted);
    if (at == absl::string_view::npos) continue;
    absl::string_view rest =
        absl::StripLeadingAsciiWhitespace(dictionary.substr(at + quoted.size()));
    if (absl::StartsWith(rest, ":")) return absl::StripLeadingAsciiWhitespace(rest.substr(1));
  }
  return "";
}

absl::Status ParseType(absl::string_view value, NpyHeader* header) {
  if (value.size() < 2 || (value[0] != '\'' && value[0] != '"')) {
    return Bad("its array is of records, not of numbers");
  }
  const absl::string_view name = value.substr(1, value.find(value[0], 1) - 1);
  absl::string_view kind = name;
  if (!kind.empty() && absl::StrContains("<>|=", kind.substr(0, 1))) {
    header->big_endian = kind[0] == '>';
    kind.remove_prefix(1);
  }
  const char letter = kind.empty() ? ' ' : kind[0];
  if (letter == 'O') {
    return Bad(
        "its array is of Python objects, which may run code; save it as an array of numbers");
  }
  int bytes = 0;
  const bool sized = !kind.empty() && absl::SimpleAtoi(kind.substr(1), &bytes);
  const bool possible = letter == 'b'   ? bytes == 1
                        : letter == 'f' ? bytes == 2 || bytes == 4 || bytes == 8
                                        : bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
  if (!sized || !possible || !absl::StrContains("buif", std::string(1, letter))) {
    return Bad(absl::StrCat("its array is of the type '", absl::CEscape(name.substr(0, 40)),
                            "'; integers, booleans and floats of 16 to 64 bits are read"));
  }
  header->type = letter == 'b'   ? Type::kBool
                 : letter == 'u' ? Type::kUnsigned
                 : letter == 'i' ? Type::kSigned
                                 : Type::kFloat;
  header->item_bytes = static_cast<size_t>(bytes);
  return absl::OkStatus();
}

absl::Status ParseShape(absl::string_view value, NpyHeader* header) {
  const size_t end = value.find(')');
  if (value.empty() || value[0] != '(' || end == absl::string_view::npos) {
    return Bad("its header has no shape");
  }
  for (absl::string_view part :
       absl::StrSplit(value.substr(1, end - 1), ',', absl::SkipWhitespace())) {
    part = absl::StripAsciiWhitespace(part);
    // As Python 2 wrote them.
    if (absl::EndsWith(part, "L")) part.remove_suffix(1);
    int64_t size = 0;
    if (!absl::SimpleAtoi(part, &size) || size < 0 || size > (int64_t{1} << 40) ||
        header->shape.size() >= kMaxDimensions) {
      return Bad("its header has a shape that is none");
    }
    header->shape.push_back(size);
  }
  return absl::OkStatus();
}

template <typename Number>
Number Load(const char* bytes, bool big_endian) {
  char ordered[sizeof(Number)];
  std::memcpy(ordered, bytes, sizeof(Number));
  if (big_endian) std::reverse(ordered, ordered + sizeof(Number));
  Number number;
  std::memcpy(&number, ordered, sizeof(Number));
  return number;
}

// IEEE 754's half precision.
double LoadHalf(const char* bytes, bool big_endian) {
  const auto bits = Load<uint16_t>(bytes, big_endian);
  const int exponent = (bits >> 10) & 31;
  const double fraction = bits & 1023;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == 31) return fraction == 0 ? sign * HUGE_VAL : std::nan("");
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(fraction + 1024, exponent - 25);
}

// Calls take(number) for each, in a loop of its own for each type.
template <typename Take>
void Visit(const NpyHeader& header, absl::string_view bytes, Take&& take) {
  const bool big = header.big_endian;
  const size_t step = header.item_bytes;
  const auto loop = [&](auto load) {
    for (size_t at = 0; at + step <= bytes.size(); at += step) {
      take(static_cast<double>(load(bytes.data() + at)));
    }
  };
  const auto integers = [&]<typename One, typename Two, typename Four, typename Eight>(
                            One, Two, Four, Eight) {
    if (step == 1) return loop([&](const char* at) { return Load<One>(at, big); });
    if (step == 2) return loop([&](const char* at) { return Load<Two>(at, big); });
    if (step == 4) return loop([&](const char* at) { return Load<Four>(at, big); });
    return loop([&](const char* at) { return Load<Eight>(at, big); });
  };
  switch (header.type) {
    case Type::kBool:
      return loop([](const char* at) { return *at == 0 ? 0 : 1; });
    case Type::kUnsigned:
      return integers(uint8_t{}, uint16_t{}, uint32_t{}, uint64_t{});
    case Type::kSigned:
      return integers(int8_t{}, int16_t{}, int32_t{}, int64_t{});
    case Type::kFloat:
      if (step == 2) return loop([&](const char* at) { return LoadHalf(at, big); });
      if (step == 4) return loop([&](const char* at) { return Load<float>(at, big); });
      return loop([&](const char* at) { return Load<double>(at, big); });
  }
}

}  // namespace

std::string NpyHeader::type_name() const {
  constexpr absl::string_view kNames[] = {"bool", "uint", "int", "float"};
  const absl::string_view name = kNames[static_cast<size_t>(type)];
  return type == Type::kBool ? std::string(name) : absl::StrCat(name, 8 * item_bytes);
}

std::string NpyHeader::shape_text() const {
  return shape.empty() ? "scalar" : absl::StrJoin(shape, "x");
}

absl::StatusOr<NpyHeader> ReadNpyHeader(
    absl::FunctionRef<absl::StatusOr<size_t>(void* to, size_t size)> read) {
  const auto read_bytes = [&](size_t size) -> absl::StatusOr<std::string> {
    std::string bytes(size, '\0');
    const absl::StatusOr<size_t> got = read(bytes.data(), size);
    if (!got.ok()) return got.status();
    if (*got < size) return Bad("it is truncated within its header");
    return bytes;
  };
  const absl::StatusOr<std::string> start = read_bytes(kMagic.size() + 2);
  if (!start.ok()) return start.status();
  if (!absl::StartsWith(*start, kMagic)) return Bad("it is no NumPy array");
  const int version = (*start)[kMagic.size()];
  if (version < 1 || version > 3) {
    return Bad(absl::StrCat("it is of version ", version, " of NumPy's format; 1 to 3 are read"));
  }
  const absl::StatusOr<std::string> length = read_bytes(version == 1 ? 2 : 4);
  if (!length.ok()) return length.status();
  const size_t size =
      version == 1 ? Load<uint16_t>(length->data(), false) : Load<uint32_t>(length->data(), false);
  if (size > kMaxHeaderBytes) return Bad("its header is too long to be one of numbers");
  const absl::StatusOr<std::string> dictionary = read_bytes(size);
  if (!dictionary.ok()) return dictionary.status();
  NpyHeader header;
  const absl::string_view order = ValueOf(*dictionary, "fortran_order");
  header.fortran_order = absl::StartsWith(order, "True");
  if (!header.fortran_order && !absl::StartsWith(order, "False")) {
    return Bad("its header is damaged");
  }
  absl::Status status = ParseType(ValueOf(*dictionary, "descr"), &header);
  if (status.ok()) status = ParseShape(ValueOf(*dictionary, "shape"), &header);
  if (!status.ok()) return status;
  return header;
}

void NumberRange::Add(double number) {
  finite &= std::isfinite(number);
  low = any ? std::min(low, number) : number;
  high = any ? std::max(high, number) : number;
  any = true;
}

void ForEachNumber(const NpyHeader& header, absl::string_view bytes,
                   absl::FunctionRef<void(double)> take) {
  Visit(header, bytes, take);
}

void AddToRange(const NpyHeader& header, absl::string_view bytes, NumberRange* range) {
  // In a local, which stays in registers.
  NumberRange local = *range;
  Visit(header, bytes, [&local](double number) { local.Add(number); });
  *range = local;
}

void ScaleToBytes(const NpyHeader& header, absl::string_view bytes, double scale, uint8_t* to) {
  if (header.type == Type::kUnsigned && header.item_bytes == 1 && scale == 1) {
    std::memcpy(to, bytes.data(), bytes.size());
    return;
  }
  Visit(header, bytes, [&](double number) {
    *to++ = static_cast<uint8_t>(std::clamp(number * scale + 0.5, 0.0, 255.0));
  });
}

}  // namespace atelier::models
