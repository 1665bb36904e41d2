#include "client/calls/model_versions.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/calls/arguments.h"
#include "client/terminal/display_text.h"

namespace atelier::client {

absl::StatusOr<const v1::ModelVersion*> FindVersion(const v1::Model& model,
                                                    absl::string_view version) {
  const absl::string_view wanted = version.empty() ? "latest" : version;
  std::int64_t number = 0;
  if (!absl::SimpleAtoi(wanted, &number)) {
    for (const v1::ModelAlias& alias : model.aliases()) {
      if (alias.alias() == wanted) number = alias.version();
    }
  }
  for (const v1::ModelVersion& candidate : model.versions()) {
    if (candidate.version() == number) return &candidate;
  }
  return absl::NotFoundError(absl::StrCat("The model ", EscapeControls(Leaf(model.name())),
                                          " has no version or alias '", EscapeControls(wanted),
                                          "'; `atelier models ", EscapeControls(Leaf(model.name())),
                                          "` lists them."));
}

std::string AliasesOf(const v1::Model& model, std::int64_t version) {
  std::vector<std::string> aliases;
  for (const v1::ModelAlias& alias : model.aliases()) {
    if (alias.version() == version) aliases.push_back(alias.alias());
  }
  return absl::StrJoin(aliases, " ");
}

}  // namespace atelier::client
