#include "server/base/class_matching.h"

#include <algorithm>
#include <cstddef>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace atelier {
namespace {

// At most twenty, quoted.
std::string NameList(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 20;
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i) {
    shown.push_back(absl::StrCat("'", absl::Utf8SafeCEscape(names[i]), "'"));
  }
  return absl::StrCat(absl::StrJoin(shown, ", "),
                      names.size() > kShown ? absl::StrCat(" … (", names.size(), ")") : "");
}

absl::Status Mismatch(const std::string& what, const std::vector<std::string>& dataset,
                      const std::vector<std::string>& model) {
  return absl::InvalidArgumentError(absl::StrCat("The classes of the data set are ",
                                                 NameList(dataset), ", those of the model ",
                                                 NameList(model), "; ", what, "."));
}

// The class that `class-7` means; -1 for any other name.
int NumberedClass(absl::string_view name, std::size_t classes) {
  int number = 0;
  const bool numbered = absl::ConsumePrefix(&name, "class-") && absl::SimpleAtoi(name, &number);
  return numbered && number >= 0 && static_cast<std::size_t>(number) < classes ? number : -1;
}

}  // namespace

absl::StatusOr<std::vector<int>> MatchClasses(const std::vector<std::string>& dataset,
                                              const std::vector<std::string>& model) {
  absl::flat_hash_map<std::string, int> known;
  // The first of equal names counts.
  for (std::size_t i = 0; i < model.size(); ++i) known.emplace(model[i], static_cast<int>(i));
  std::vector<int> indices;
  std::vector<std::string> unknown;
  std::vector<bool> taken(model.size(), false);
  for (const std::string& name : dataset) {
    const auto found = known.find(name);
    const int index = found != known.end() ? found->second : NumberedClass(name, model.size());
    if (index < 0) {
      unknown.push_back(name);
      continue;
    }
    if (taken[static_cast<std::size_t>(index)]) {
      return Mismatch(absl::StrCat("several mean ", NameList({model[index]})), dataset, model);
    }
    taken[static_cast<std::size_t>(index)] = true;
    indices.push_back(index);
  }
  if (unknown.empty()) return indices;
  return Mismatch(absl::StrCat("the model does not know ", NameList(unknown)), dataset, model);
}

}  // namespace atelier
