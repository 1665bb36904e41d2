#include "server/slurm/slurm_text.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/base/printable.h"

namespace atelier::slurm {
namespace {

constexpr std::size_t kMaxArgument = 256;

// As `squeue --helpstate` and the manual name them.
constexpr absl::string_view kPending[] = {"PENDING",      "CONFIGURING",   "SUSPENDED",
                                          "STOPPED",      "REQUEUED",      "REQUEUE_FED",
                                          "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"};
constexpr absl::string_view kRunning[] = {"RUNNING", "COMPLETING", "RESIZING", "SIGNALING",
                                          "STAGE_OUT"};
constexpr absl::string_view kEnded[] = {"COMPLETED",     "FAILED",    "CANCELLED", "TIMEOUT",
                                        "NODE_FAIL",     "PREEMPTED", "BOOT_FAIL", "DEADLINE",
                                        "OUT_OF_MEMORY", "REVOKED"};

constexpr absl::string_view kNeverRuns[] = {
    "PartitionConfig", "PartitionTimeLimit", "BadConstraints", "InvalidAccount",
    "InvalidQOS",      "AccountNotAllowed",  "QOSNotAllowed",  "DependencyNeverSatisfied"};

// Parts of what sbatch prints, of Slurm's own table of errors.
constexpr absl::string_view kRefusals[] = {
    "Requested node configuration is not available",
    "Requested partition configuration not available",
    "invalid partition specified",
    "Invalid partition name specified",
    "Invalid account or account/partition combination specified",
    "Invalid qos specification",
    "Invalid feature specification",
    "Invalid generic resource (gres) specification",
    "Invalid Trackable RESource (TRES) specification",
    "Invalid license specification",
    "Invalid node name specified",
    "Invalid time limit specification",
    "Invalid --time",
    "Requested time limit is invalid",
    "Requested reservation is invalid",
    "Memory specification can not be satisfied",
    "Memory required by task is not available",
    "More processors requested than permitted",
    "CPU count per node can not be satisfied",
    "Node count specification invalid",
    "Access/permission denied",
    "User's group not permitted to use this partition",
    "unrecognized option",
    "ambiguous",
    "invalid option",
    "requires an argument",
    "Invalid argument",
    "Invalid numeric value"};

// Of a list of nodes.
constexpr std::size_t kMostNodes = 64;

// What the server gives itself, or what would make it another kind of job.
constexpr absl::string_view kReserved[] = {"array",         "bb",           "bbf",
                                           "chdir",         "clusters",     "comment",
                                           "cpus-per-task", "error",        "export",
                                           "export-file",   "get-user-env", "gid",
                                           "help",          "hold",         "ignore-pbs",
                                           "input",         "job-name",     "kill-on-invalid-dep",
                                           "mem",           "mem-per-cpu",  "no-requeue",
                                           "nodes",         "ntasks",       "ntasks-per-node",
                                           "open-mode",     "output",       "parsable",
                                           "quiet",         "requeue",      "signal",
                                           "test-only",     "uid",          "usage",
                                           "verbose",       "version",      "wait",
                                           "wrap"};

template <std::size_t N>
bool IsOneOf(absl::string_view word, const absl::string_view (&words)[N]) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

bool IsId(absl::string_view text) {
  return !text.empty() && text.size() <= 20 &&
         std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isdigit(c); });
}

absl::Status Garbage(absl::string_view program, absl::string_view line) {
  return absl::DataLossError(
      absl::StrCat(program, " answered what cannot be read: '", Printable(line), "'"));
}

// `prefix` with each number of a range as Slurm writes it, such as 7 or 01-03.
void AddRange(absl::string_view prefix, absl::string_view range, std::vector<std::string>* nodes) {
  const std::pair<absl::string_view, absl::string_view> ends =
      absl::StrSplit(range, absl::MaxSplits('-', 1));
  std::uint32_t number = 0, last = 0;
  if (!absl::SimpleAtoi(ends.first, &number) || !absl::SimpleAtoi(ends.second, &last)) {
    nodes->push_back(absl::StrCat(prefix, range));
    return;
  }
  for (; number <= last && nodes->size() < kMostNodes; ++number) {
    const std::string digits = absl::StrCat(number);
    const std::size_t zeros = ends.first.size() - std::min(ends.first.size(), digits.size());
    nodes->push_back(absl::StrCat(prefix, std::string(zeros, '0'), digits));
  }
}

// The value of `NAME=value` in words that spaces separate; nothing if there is none.
std::optional<absl::string_view> FieldOf(absl::string_view text, absl::string_view name) {
  for (absl::string_view word : absl::StrSplit(text, absl::ByAnyChar(" \n"))) {
    if (absl::ConsumePrefix(&word, name) && absl::ConsumePrefix(&word, "=")) return word;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Stage> StageOf(absl::string_view state) {
  if (IsOneOf(state, kPending)) return Stage::kPending;
  if (IsOneOf(state, kRunning)) return Stage::kRunning;
  if (IsOneOf(state, kEnded)) return Stage::kEnded;
  return std::nullopt;
}

std::vector<std::string> NodesOf(absl::string_view list) {
  std::vector<std::string> nodes;
  while (!list.empty() && nodes.size() < kMostNodes) {
    const std::size_t end = list.find_first_of("[,");
    const std::size_t close = list.find(']');
    std::size_t taken = end;
    if (end == absl::string_view::npos || list[end] == ',') {
      nodes.emplace_back(list.substr(0, end));
    } else if (close != absl::string_view::npos && close > end &&
               (close + 1 == list.size() || list[close + 1] == ',')) {
      for (const absl::string_view range :
           absl::StrSplit(list.substr(end + 1, close - end - 1), ',')) {
        if (nodes.size() < kMostNodes) AddRange(list.substr(0, end), range, &nodes);
      }
      taken = close + 1;
    } else {
      nodes.emplace_back(list);
      taken = list.size();
    }
    list.remove_prefix(std::min(list.size(), taken));
    absl::ConsumePrefix(&list, ",");
  }
  return nodes;
}

bool NeverRuns(absl::string_view reason) { return IsOneOf(reason, kNeverRuns); }

bool RefusesForGood(absl::string_view error) {
  const std::string lower = absl::AsciiStrToLower(error);
  return std::any_of(std::begin(kRefusals), std::end(kRefusals), [&](absl::string_view words) {
    return absl::StrContains(lower, absl::AsciiStrToLower(words));
  });
}

absl::StatusOr<std::vector<ListedJob>> ParseList(absl::string_view output) {
  std::vector<ListedJob> jobs;
  if (!output.empty() && !absl::ConsumeSuffix(&output, "\n")) return Garbage("squeue", output);
  for (const absl::string_view line : absl::StrSplit(output, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits('|', 4));
    // Elements of arrays and parts of heterogeneous jobs are `12_3` and `12+1`: not ours.
    const absl::string_view number =
        absl::string_view(parts[0]).substr(0, parts[0].find_first_of("_+"));
    if (parts.size() != 5 || !IsId(number)) return Garbage("squeue", line);
    jobs.push_back({parts[0], parts[1], Printable(parts[2]), Printable(parts[3]), parts[4]});
  }
  return jobs;
}

absl::StatusOr<JobDetails> ParseDetails(absl::string_view output) {
  const auto state = FieldOf(output, "JobState");
  const auto code = FieldOf(output, "ExitCode");
  if (!state.has_value() || !code.has_value()) return Garbage("scontrol", output);
  JobDetails details;
  details.state = Printable(*state);
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(*code, absl::MaxSplits(':', 1));
  if (!absl::SimpleAtoi(parts.first, &details.exit_code) ||
      !absl::SimpleAtoi(parts.second, &details.signal)) {
    return Garbage("scontrol", output);
  }
  const absl::string_view nodes = FieldOf(output, "NodeList").value_or("");
  if (nodes != "(null)") details.nodes = Printable(nodes);
  return details;
}

absl::StatusOr<std::string> ParseSubmitted(absl::string_view output) {
  const absl::string_view line = absl::StripAsciiWhitespace(output);
  const absl::string_view id = line.substr(0, line.find(';'));
  if (!IsId(id)) return Garbage("sbatch", line);
  return std::string(id);
}

std::string Complaint(absl::string_view errors) {
  absl::string_view said;
  for (const absl::string_view line : absl::StrSplit(errors, '\n')) {
    said = absl::StripAsciiWhitespace(line);
    if (!said.empty() && !absl::StrContains(said, "warning: ")) break;
    said = "";
  }
  for (const char* name : {"sbatch: ", "squeue: ", "scancel: ", "scontrol: "}) {
    if (absl::ConsumePrefix(&said, name)) break;
  }
  absl::ConsumePrefix(&said, "error: ");
  absl::ConsumePrefix(&said, "fatal: ");
  return said.empty() ? "it said nothing" : Printable(said);
}

std::string BatchScript(const std::vector<std::string>& arguments) {
  std::string script = "#!/bin/sh\nexec";
  for (const std::string& argument : arguments) {
    absl::StrAppend(&script, " '", absl::StrReplaceAll(argument, {{"'", R"('\'')"}}), "'");
  }
  return script + "\n";
}

std::string OutputPattern(absl::string_view path) {
  return absl::StrReplaceAll(path, {{"%", "%%"}});
}

std::vector<std::string> SplitArguments(absl::string_view text) {
  return absl::StrSplit(text, absl::ByAnyChar(" \t\n"), absl::SkipEmpty());
}

absl::string_view ArgumentName(absl::string_view argument) {
  absl::ConsumePrefix(&argument, "--");
  return argument.substr(0, argument.find('='));
}

std::string ArgumentProblem(absl::string_view argument) {
  const std::string quoted = absl::StrCat("'", Printable(argument), "'");
  const absl::string_view name = ArgumentName(argument);
  const bool named = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_islower(static_cast<unsigned char>(c)) || absl::ascii_isdigit(c) || c == '-';
  });
  if (!absl::StartsWith(argument, "--") || !named || absl::StartsWith(name, "-")) {
    return absl::StrCat(quoted, " is not --NAME or --NAME=VALUE, such as --time=2:00:00");
  }
  if (argument.size() > kMaxArgument) {
    return absl::StrCat(quoted, " has ", argument.size(), " characters; ", kMaxArgument,
                        " are allowed");
  }
  if (Printable(argument) != argument) {
    return absl::StrCat(quoted, " has a character that is not printable ASCII");
  }
  // Slurm takes the beginning of a name for the name.
  for (const absl::string_view reserved : kReserved) {
    if (absl::StartsWith(reserved, name)) {
      return absl::StrCat("--", reserved, " is given by the server itself");
    }
  }
  return "";
}

}  // namespace atelier::slurm
