// `atelier datasets check`: looks for duplicates, suspicious labels and other faults.
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "client/calls/arguments.h"
#include "client/calls/request_id.h"
#include "client/commands/dataset_commands.h"

namespace atelier::client {
namespace {

struct CheckOptions {
  std::string name;
  v1::CheckDatasetRequest request;
  ScoringOptions scoring;
};

absl::StatusOr<int> Check(Session& session, const CheckOptions& options) {
  auto name = DatasetName(options.name);
  if (!name.ok()) return name.status();
  v1::CheckDatasetRequest request = options.request;
  request.set_name(*std::move(name));
  return CheckDataset(session, std::move(request), options.scoring);
}

}  // namespace

absl::StatusOr<int> CheckDataset(Session& session, v1::CheckDatasetRequest request,
                                 const ScoringOptions& options) {
  request.set_request_id(RandomRequestId());
  const auto job = session.Call(&DatasetService::CheckDataset, request, {.repeats = 2});
  if (!job.ok()) return job.status();
  return FollowScoring(session, *job, options);
}

void AddDatasetCheck(CommandSet* commands, CLI::App* family) {
  const auto options = std::make_shared<CheckOptions>();
  CLI::App* const command = commands->Add(
      {"check",
       "Look for duplicates, wrong labels and other faults",
       "A job looks for what an import warns of, and compares each label with the guess of a\n"
       "small network that was trained on the other images. The most suspicious labels are\n"
       "listed, with the probability of each; -o writes their images as a PNG file. The job\n"
       "keeps 1,000 of them. Ctrl-C detaches from it. Exit codes as of `atelier train`.",
       {{"atelier datasets check digits", ""},
        {"atelier datasets check digits@2 --limit 100 -o suspicious.png", ""},
        {"atelier --output=csv datasets check digits --limit 1000", "a line for each"}}},
      [options](Session& session) { return Check(session, *options); }, family);
  command->add_option("NAME", options->name, "NAME or NAME@VERSION")->required()->type_name("");
  AddWordOption(
      command, "--split", v1::DatasetSplit_descriptor(), "training, validation or test [training]",
      [options](int value) { options->request.set_split(static_cast<v1::DatasetSplit>(value)); });
  command
      ->add_option_function<std::int32_t>(
          "--folds", [options](std::int32_t value) { options->request.set_folds(value); },
          "Parts; a network learns from all but one, 2 to 20 [5]")
      ->type_name("N")
      ->check(Between(2, 20));
  command
      ->add_option_function<std::int64_t>(
          "--seed", [options](std::int64_t value) { options->request.set_seed(value); },
          "Seed of the parts and the networks [0]")
      ->type_name("N");
  AddScoringOptions(command, &options->scoring);
}

}  // namespace atelier::client
