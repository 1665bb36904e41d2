#include "server/slurm/slurm_options.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "server/base/wrong_flag.h"
#include "server/slurm/slurm_text.h"

namespace atelier::slurm {
namespace {

using remote::ValueOf;

constexpr std::size_t kMaxArguments = 32;

absl::Status Add(absl::string_view flag, const std::string& argument, SlurmOptions* options) {
  if (const std::string problem = ArgumentProblem(argument); !problem.empty()) {
    return WrongFlag(flag, problem);
  }
  options->arguments.push_back(argument);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SlurmOptions> SlurmOptions::Create(const remote::EngineFlags& flags) {
  SlurmOptions options;
  options.bin_dir = ValueOf(flags, "slurm_bin");
  options.gres = ValueOf(flags, "slurm_gres");
  absl::Status status;
  for (const char* name : {"partition", "account", "qos"}) {
    const std::string flag = absl::StrCat("slurm_", name);
    const std::string value = ValueOf(flags, flag);
    if (!value.empty()) status.Update(Add(flag, absl::StrCat("--", name, "=", value), &options));
  }
  for (const std::string& argument : SplitArguments(ValueOf(flags, "slurm_args"))) {
    status.Update(Add("slurm_args", argument, &options));
  }
  for (absl::string_view name :
       absl::StrSplit(ValueOf(flags, "slurm_allow"), ',', absl::SkipWhitespace())) {
    const std::string problem = ArgumentProblem(absl::StrCat("--", name));
    if (!problem.empty()) status.Update(WrongFlag("slurm_allow", problem));
    options.allowed.emplace_back(name);
  }
  if (!options.gres.empty()) {
    const std::string problem = ArgumentProblem(absl::StrCat("--gres=", options.gres));
    if (!problem.empty()) status.Update(WrongFlag("slurm_gres", problem));
  }
  if (!status.ok()) return status;
  return options;
}

absl::Status SlurmOptions::CheckArguments(absl::Span<const std::string> given) const {
  if (given.size() > kMaxArguments) {
    return absl::InvalidArgumentError(absl::StrCat(
        "There are ", given.size(), " arguments for Slurm; ", kMaxArguments, " are allowed"));
  }
  for (const std::string& argument : given) {
    const std::string problem = ArgumentProblem(argument);
    if (!problem.empty()) return absl::InvalidArgumentError(problem);
    const absl::string_view name = ArgumentName(argument);
    if (std::find(allowed.begin(), allowed.end(), name) != allowed.end()) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "--", name, " is not an argument for Slurm that this server lets jobs give (",
        allowed.empty() ? "it lets them give none"
                        : absl::StrCat("it lets them give ", absl::StrJoin(allowed, ", ")),
        "; its operator chooses by --slurm_allow)"));
  }
  return absl::OkStatus();
}

}  // namespace atelier::slurm
