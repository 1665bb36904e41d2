#include "client/calls/resource_kind.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/calls/arguments.h"
#include "client/terminal/display_text.h"

namespace atelier::client {
namespace {

// What another kind of resource is, and what to type: `a model; `atelier models x` shows it`.
struct Found {
  std::string kind;
  std::string advice;
};

std::optional<Found> FindJob(Session& session, absl::string_view text, bool model_taken) {
  v1::GetJobRequest request;
  auto name = JobName(text);
  if (!name.ok()) return std::nullopt;
  request.set_name(*std::move(name));
  const auto job = session.Call(&TrainingService::GetJob, request);
  if (!job.ok()) return std::nullopt;
  const std::string& version = job->result().model_version();
  if (model_taken && !version.empty()) {
    return Found{"a job", absl::StrCat("its model is ", EscapeControls(ShortModel(version)))};
  }
  return Found{"a job",
               absl::StrCat("`", session.Suggest(absl::StrCat("show ", Leaf(text))), "` shows it")};
}

std::optional<Found> FindExperiment(Session& session, absl::string_view text, bool for_model) {
  v1::GetExperimentRequest request;
  auto name = ExperimentName(text);
  if (!name.ok()) return std::nullopt;
  request.set_name(*std::move(name));
  if (!session.Call(&ExperimentService::GetExperiment, request).ok()) return std::nullopt;
  if (for_model && !absl::StartsWith(text, "experiments/")) {
    return Found{"an experiment",
                 absl::StrCat("the model of its best run is experiments/", EscapeControls(text))};
  }
  return Found{
      "an experiment",
      absl::StrCat("`", session.Suggest(absl::StrCat("watch ", Leaf(text))), "` shows its runs")};
}

std::optional<Found> FindModel(Session& session, absl::string_view text) {
  v1::GetModelRequest request;
  const auto reference = ParseModel(text);
  if (!reference.ok()) return std::nullopt;
  request.set_name(reference->ModelName());
  if (!session.Call(&ModelService::GetModel, request).ok()) return std::nullopt;
  return Found{
      "a model",
      absl::StrCat("`", session.Suggest(absl::StrCat("models ", ShortModel(text))), "` shows it")};
}

std::string KindsText(const std::vector<Kind>& kinds) {
  std::string text;
  for (const Kind kind : kinds) {
    absl::StrAppend(&text, text.empty() ? "" : " or ",
                    kind == Kind::kJob          ? "a job"
                    : kind == Kind::kExperiment ? "an experiment"
                                                : "a model");
  }
  return text;
}

// Whether a command can fail because of the name's kind: there is no such resource, or the name has
// the form of another kind's.
bool MayBeOtherKind(absl::string_view text, const std::vector<Kind>& taken,
                    const absl::Status& status) {
  if (absl::IsNotFound(status)) return true;
  const bool readable = taken.front() == Kind::kModel ? ParseModel(text).ok() : JobName(text).ok();
  return absl::IsInvalidArgument(status) && !readable;
}

}  // namespace

absl::StatusOr<int> ExplainKind(Session& session, absl::string_view text,
                                const std::vector<Kind>& taken, const absl::StatusOr<int>& result) {
  if (result.ok() || !MayBeOtherKind(text, taken, result.status())) return result;
  const auto takes = [&taken](Kind kind) {
    return std::find(taken.begin(), taken.end(), kind) != taken.end();
  };
  std::optional<Found> found;
  if (!takes(Kind::kJob)) found = FindJob(session, text, takes(Kind::kModel));
  if (!found && !takes(Kind::kExperiment))
    found = FindExperiment(session, text, takes(Kind::kModel));
  if (!found && !takes(Kind::kModel)) found = FindModel(session, text);
  if (!found) return result;
  return absl::Status(result.status().code(),
                      absl::StrCat(EscapeControls(text), " is ", found->kind, ", not ",
                                   KindsText(taken), "; ", found->advice, "."));
}

}  // namespace atelier::client
