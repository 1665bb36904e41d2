#include "proto/access/access_file.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "proto/access/token.h"
#include "proto/flags/size.h"

namespace atelier::access {
namespace {

constexpr std::size_t kMaxName = 128;
constexpr std::size_t kMaxDay = 32;

std::string Shown(absl::string_view text) {
  return absl::StrCat("'", absl::CHexEscape(text.substr(0, 64)), "'");
}

absl::Status Wrong(const std::string& what) { return absl::InvalidArgumentError(what); }

bool IsHex(absl::string_view text, std::size_t digits) {
  return text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
         });
}

std::vector<absl::string_view> WordsOf(absl::string_view line) {
  return absl::StrSplit(line.substr(0, line.find('#')), absl::ByAnyChar(" \t\r"),
                        absl::SkipEmpty());
}

// `key=value` of a token's line.
absl::Status TakeField(absl::string_view word, Credential* credential) {
  const std::size_t equals = word.find('=');
  const absl::string_view key = word.substr(0, equals);
  const std::string value(equals == absl::string_view::npos ? "" : word.substr(equals + 1));
  if (key == "id" && IsHex(value, kTokenIdDigits)) {
    credential->id = value;
  } else if (key == "sha256" && IsHex(value, kTokenHashDigits)) {
    credential->sha256 = value;
  } else if (key == "created" && !value.empty() && value.size() <= kMaxDay) {
    credential->created = value;
  } else {
    return Wrong(absl::StrCat(Shown(word), " is none of id=, with ", kTokenIdDigits,
                              " hexadecimal digits, sha256=, with ", kTokenHashDigits,
                              ", and created="));
  }
  return absl::OkStatus();
}

absl::StatusOr<Credential> ParseLine(const std::vector<absl::string_view>& words) {
  Credential credential;
  if (words[0] == "certificate") {
    credential.kind = Credential::Kind::kCertificate;
  } else if (words[0] != "token") {
    return Wrong(
        absl::StrCat(Shown(words[0]), " begins no line; it must be token, certificate or limit"));
  }
  if (words.size() < 3) return Wrong("the line needs a name and a role");
  if (auto status = CheckCallerName(words[1]); !status.ok()) return status;
  credential.name = std::string(words[1]);
  const auto role = RoleOf(words[2]);
  if (!role.has_value()) {
    return Wrong(absl::StrCat(Shown(words[2]), " is no role; it must be ", kRoleWords));
  }
  credential.role = *role;
  if (credential.kind == Credential::Kind::kCertificate) {
    if (words.size() == 3) return credential;
    return Wrong(absl::StrCat(Shown(words[3]), " follows the role of a certificate; nothing may"));
  }
  for (std::size_t i = 3; i < words.size(); ++i) {
    if (auto status = TakeField(words[i], &credential); !status.ok()) return status;
  }
  if (credential.id.empty() || credential.sha256.empty()) {
    return Wrong("a token needs id= and sha256=; `atelier admin token add` writes them");
  }
  return credential;
}

absl::Status TakeLimit(absl::string_view word, Limits* limits) {
  const std::size_t equals = word.find('=');
  std::vector<absl::string_view> names;
  for (const LimitField& field : LimitFields()) {
    names.push_back(field.name);
    if (equals == absl::string_view::npos || word.substr(0, equals) != field.name) continue;
    const absl::string_view text = word.substr(equals + 1);
    std::int64_t number = 0;
    const auto size = flags::ParseSize(text);
    const bool good = field.bytes ? size.ok() : absl::SimpleAtoi(text, &number) && number >= 0;
    if (!good) {
      return Wrong(absl::StrCat(Shown(word), " is no limit; it must be ", field.name, "=",
                                field.bytes ? "SIZE, such as 20GiB" : "N, 0 or more"));
    }
    if ((limits->*field.value).has_value())
      return Wrong(absl::StrCat(Shown(word), " is there twice"));
    limits->*field.value = field.bytes ? *size : number;
    return absl::OkStatus();
  }
  return Wrong(
      absl::StrCat(Shown(word), " is no limit; there are ", absl::StrJoin(names, "=, "), "="));
}

// `limit WHO key=value…`.
absl::Status ParseLimit(const std::vector<absl::string_view>& words,
                        std::map<std::string, Limits>* all) {
  if (words.size() < 3) return Wrong("a limit needs a name or role and what is limited");
  if (!RoleOf(words[1]).has_value()) {
    if (auto status = CheckCallerName(words[1]); !status.ok()) return status;
  }
  for (std::size_t i = 2; i < words.size(); ++i) {
    if (auto status = TakeLimit(words[i], &(*all)[std::string(words[1])]); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

// What of all lines together must hold.
class Consistency {
 public:
  absl::Status Add(const Credential& credential) {
    const auto [known, added] = roles_.emplace(credential.name, credential.role);
    if (!added && known->second != credential.role) {
      return Wrong(absl::StrCat(credential.name, " is ", RoleWord(known->second),
                                " in a line before; one caller has one role"));
    }
    const bool token = credential.kind == Credential::Kind::kToken;
    if (token ? !ids_.insert(credential.id).second
              : !certificates_.insert(credential.name).second) {
      return Wrong(
          token ? absl::StrCat("the token ", credential.id, " is in a line before")
                : absl::StrCat("the certificate of ", credential.name, " is in a line before"));
    }
    return absl::OkStatus();
  }

 private:
  std::map<std::string, Role> roles_;
  std::set<std::string> ids_;
  std::set<std::string> certificates_;
};

}  // namespace

absl::Status CheckCallerName(absl::string_view name) {
  const bool valid = !name.empty() && name.size() <= kMaxName && absl::ascii_isalnum(name[0]) &&
                     std::all_of(name.begin(), name.end(), [](char c) {
                       return absl::ascii_isalnum(c) || absl::StrContains("._@+-", c);
                     });
  if (!valid) {
    return Wrong(absl::StrCat(Shown(name), " is no name; it must have 1 to ", kMaxName,
                              " letters, digits and . _ @ + - and begin with a letter or digit"));
  }
  if (RoleOf(name).has_value()) {
    return Wrong(absl::StrCat(Shown(name), " is the word for a role and cannot be a name"));
  }
  return absl::OkStatus();
}

namespace {

struct AccessFile {
  std::vector<Credential> credentials;
  std::map<std::string, Limits> limits;
};

absl::Status TakeLine(const std::vector<absl::string_view>& words, Consistency* consistency,
                      AccessFile* file) {
  if (words[0] == "limit") return ParseLimit(words, &file->limits);
  auto credential = ParseLine(words);
  if (!credential.ok()) return credential.status();
  file->credentials.push_back(*std::move(credential));
  return consistency->Add(file->credentials.back());
}

absl::StatusOr<AccessFile> ParseAll(absl::string_view text) {
  AccessFile file;
  Consistency consistency;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    const std::vector<absl::string_view> words = WordsOf(line);
    if (words.empty()) continue;
    const absl::Status status = TakeLine(words, &consistency, &file);
    if (!status.ok()) return Wrong(absl::StrCat("line ", number, ": ", status.message()));
  }
  return file;
}

}  // namespace

absl::StatusOr<std::vector<Credential>> ParseAccessFile(absl::string_view text) {
  auto file = ParseAll(text);
  if (!file.ok()) return file.status();
  return std::move(file->credentials);
}

absl::StatusOr<std::map<std::string, Limits>> ParseLimits(absl::string_view text) {
  auto file = ParseAll(text);
  if (!file.ok()) return file.status();
  return std::move(file->limits);
}

std::string WithToken(absl::string_view text, const Credential& token) {
  std::string whole(text);
  if (!whole.empty() && whole.back() != '\n') whole += '\n';
  absl::StrAppend(&whole, "token ", token.name, " ", RoleWord(token.role), " id=", token.id,
                  " sha256=", token.sha256);
  if (!token.created.empty()) absl::StrAppend(&whole, " created=", token.created);
  return whole + '\n';
}

absl::StatusOr<std::string> WithoutToken(absl::string_view text, absl::string_view name_or_id) {
  std::vector<absl::string_view> kept;
  std::set<std::string> names;
  bool removed = false;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<absl::string_view> words = WordsOf(line);
    if (words.size() > 2 && words[0] == "token") {
      const std::string id = absl::StrCat("id=", name_or_id);
      if (words[1] == name_or_id || std::find(words.begin(), words.end(), id) != words.end()) {
        removed = true;
        continue;
      }
      names.emplace(words[1]);
    }
    kept.push_back(line);
  }
  if (removed) return absl::StrJoin(kept, "\n");
  return absl::NotFoundError(
      absl::StrCat("There is no token with the name or id ", Shown(name_or_id),
                   "; there are: ", names.empty() ? "none" : absl::StrJoin(names, ", "), "."));
}

}  // namespace atelier::access
