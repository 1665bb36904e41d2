#include "client/terminal/display_text.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/descriptor.h"

namespace atelier::client {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};

constexpr Range kWide[] = {{0x1100, 0x115F},   {0x2E80, 0x303E},  {0x3041, 0xA4CF},
                           {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},  {0xFE30, 0xFE6F},
                           {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},  {0x1F300, 0x1F64F},
                           {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};
constexpr Range kCombining[] = {
    {0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD}, {0x064B, 0x065F}, {0x1AB0, 0x1AFF},
    {0x1DC0, 0x1DFF}, {0x200B, 0x200D}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}};
// C0, DEL and C1, line and paragraph separators, and whatever reorders the line.
constexpr Range kControls[] = {{0x00, 0x1F},     {0x7F, 0x9F},     {0x061C, 0x061C},
                               {0x200E, 0x200F}, {0x2028, 0x202E}, {0x2066, 0x2069},
                               {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}};

template <std::size_t size>
bool IsIn(const Range (&ranges)[size], char32_t c) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [c](const Range& range) { return c >= range.first && c <= range.last; });
}

struct LookAlike {
  char32_t code;
  char ascii;
};

constexpr LookAlike kLookAlikes[] = {
    {U'–', '-'}, {U'−', '-'}, {U'×', 'x'}, {U'·', '.'},  {U'…', '.'}, {U'±', '~'},
    {U'→', '>'}, {U'↓', 'v'}, {U'✔', '+'}, {U'✘', 'x'},  {U'★', '*'}, {U'■', '#'},
    {U'━', '#'}, {U'─', '-'}, {U'░', '.'}, {U'▒', ':'},  {U'▓', '*'}, {U'█', '#'},
    {U'▏', '|'}, {U'▎', '|'}, {U'▍', '|'}, {U'▌', '#'},  {U'▋', '#'}, {U'▊', '#'},
    {U'▉', '#'}, {U'▀', ' '}, {U'⠋', '|'}, {U'⠙', '/'},  {U'⠹', '-'}, {U'⠸', '\\'},
    {U'⠼', '|'}, {U'⠴', '/'}, {U'⠦', '-'}, {U'⠧', '\\'}, {U'⠇', '|'}, {U'⠏', '/'}};

struct Character {
  char32_t code = 0;
  std::size_t bytes = 1;
  bool valid = false;
};

// The first character of a non-empty text; an invalid one is a byte long.
Character FirstCharacter(absl::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return {lead, 1, false};
  char32_t code = lead & (0x7F >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {lead, 1, false};
    code = (code << 6) | (byte(i) & 0x3F);
  }
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (code < kSmallest[length] || code > 0x10FFFF || surrogate) return {lead, 1, false};
  return {code, length, true};
}

int WidthOf(const Character& c) {
  if (!c.valid) return 1;
  if (IsIn(kCombining, c.code)) return 0;
  return IsIn(kWide, c.code) ? 2 : 1;
}

std::string AsciiOf(const Character& c) {
  if (c.valid && c.code < 0x80) return std::string(1, static_cast<char>(c.code));
  const auto* const found =
      std::find_if(std::begin(kLookAlikes), std::end(kLookAlikes),
                   [&c](const LookAlike& known) { return c.valid && known.code == c.code; });
  if (found != std::end(kLookAlikes)) return std::string(1, found->ascii);
  return std::string(static_cast<std::size_t>(WidthOf(c)), '?');
}

void EscapeField(google::protobuf::Message* message,
                 const google::protobuf::FieldDescriptor* field) {
  using google::protobuf::FieldDescriptor;
  const google::protobuf::Reflection* reflection = message->GetReflection();
  const int count = field->is_repeated() ? reflection->FieldSize(*message, field) : 1;
  for (int i = 0; i < count; ++i) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      EscapeControls(field->is_repeated() ? reflection->MutableRepeatedMessage(message, field, i)
                                          : reflection->MutableMessage(message, field));
    } else if (field->is_repeated()) {
      reflection->SetRepeatedString(
          message, field, i, EscapeControls(reflection->GetRepeatedString(*message, field, i)));
    } else {
      reflection->SetString(message, field, EscapeControls(reflection->GetString(*message, field)));
    }
  }
}

}  // namespace

int DisplayWidth(absl::string_view text) {
  int width = 0;
  while (!text.empty()) {
    const Character c = FirstCharacter(text);
    width += WidthOf(c);
    text.remove_prefix(c.bytes);
  }
  return width;
}

std::string Clip(absl::string_view text, int width) {
  if (DisplayWidth(text) <= width) return std::string(text);
  if (width <= 0) return "";
  std::size_t kept = 0;
  int used = 0;
  while (true) {
    const Character c = FirstCharacter(text.substr(kept));
    if (used + WidthOf(c) > width - 1) break;
    used += WidthOf(c);
    kept += c.bytes;
  }
  return absl::StrCat(text.substr(0, kept), "…");
}

std::string PadRight(absl::string_view text, int width) {
  return absl::StrCat(text, std::string(std::max(0, width - DisplayWidth(text)), ' '));
}

std::string PadLeft(absl::string_view text, int width) {
  return absl::StrCat(std::string(std::max(0, width - DisplayWidth(text)), ' '), text);
}

std::string ToAscii(absl::string_view text) {
  const std::string spelled = absl::StrReplaceAll(text, {{" ± ", "+/-"}});
  std::string ascii;
  for (absl::string_view left = spelled; !left.empty();) {
    const Character c = FirstCharacter(left);
    ascii += AsciiOf(c);
    left.remove_prefix(c.bytes);
  }
  return ascii;
}

std::size_t WholeCharacters(absl::string_view text) {
  std::size_t start = text.size();
  for (std::size_t back = 1; back <= 4 && back <= text.size(); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    const std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    if (length > back) start = text.size() - back;
    break;
  }
  return start;
}

std::string Wrap(absl::string_view text, int width, int indent) {
  std::string wrapped;
  int used = 0;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    const int needed = DisplayWidth(word);
    const bool first = wrapped.empty();
    const bool fits = used + 1 + needed <= width;
    if (!first)
      absl::StrAppend(&wrapped,
                      fits ? " " : "\n" + std::string(static_cast<std::size_t>(indent), ' '));
    used = first ? needed : fits ? used + 1 + needed : indent + needed;
    absl::StrAppend(&wrapped, word);
  }
  return wrapped;
}

std::string NameList(const google::protobuf::RepeatedPtrField<std::string>& names) {
  const int shown = std::min(names.size(), kMaxShownClasses);
  std::string text = absl::StrJoin(names.begin(), names.begin() + shown, ", ");
  if (shown < names.size()) absl::StrAppend(&text, " and ", names.size() - shown, " more");
  return text;
}

std::string EscapeControls(absl::string_view text, bool multiline) {
  std::string escaped;
  escaped.reserve(text.size());
  while (!text.empty()) {
    const Character c = FirstCharacter(text);
    if (!c.valid || (c.code < 0x100 && IsIn(kControls, c.code))) {
      const bool kept = multiline && c.valid && (c.code == '\n' || c.code == '\t');
      if (kept) escaped.push_back(static_cast<char>(c.code));
      if (!kept) absl::StrAppendFormat(&escaped, "\\x%02x", static_cast<std::uint32_t>(c.code));
    } else if (IsIn(kControls, c.code)) {
      absl::StrAppendFormat(&escaped, "\\u{%x}", static_cast<std::uint32_t>(c.code));
    } else {
      absl::StrAppend(&escaped, text.substr(0, c.bytes));
    }
    text.remove_prefix(c.bytes);
  }
  return escaped;
}

void EscapeControls(google::protobuf::Message* message) {
  using google::protobuf::FieldDescriptor;
  std::vector<const FieldDescriptor*> fields;
  message->GetReflection()->ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    const bool text = field->type() == FieldDescriptor::TYPE_STRING;
    if (text || field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) EscapeField(message, field);
  }
}

}  // namespace atelier::client
