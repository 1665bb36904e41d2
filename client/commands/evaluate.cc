// `atelier evaluate`: scores a model on other data than it was trained on.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/calls/arguments.h"
#include "client/calls/request_id.h"
#include "client/calls/resource_kind.h"
#include "client/commands/commands.h"
#include "client/commands/dataset_commands.h"
#include "client/commands/follow_scoring.h"
#include "client/comparing/targets.h"
#include "client/terminal/exit_codes.h"

namespace atelier::client {
namespace {

namespace fs = std::filesystem;

struct EvaluateOptions {
  std::string model;
  std::string dataset;
  std::string folder;
  v1::DatasetSplit split = v1::DATASET_SPLIT_UNSPECIFIED;
  ScoringOptions scoring;
};

// The name of a folder's data set, another than that of a data set for training which was pushed
// from it: `my-photos-evaluation` for `My Photos`.
std::string NameOfFolder(const std::string& folder) {
  constexpr std::size_t kMost = 63 - sizeof("-evaluation");
  fs::path path = fs::path(folder).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  std::string name;
  for (const char c : path.filename().string()) {
    if (name.size() == kMost) break;
    const bool plain = absl::ascii_isalnum(static_cast<unsigned char>(c));
    if (plain) name.push_back(absl::ascii_tolower(static_cast<unsigned char>(c)));
    if (!plain && !name.empty() && name.back() != '-') name.push_back('-');
  }
  while (!name.empty() && name.back() == '-') name.pop_back();
  return absl::StrCat(name, name.empty() ? "" : "-", "evaluation");
}

// Makes a data set of the folder, all of it for testing, of images as the model takes them.
absl::StatusOr<int> PushFolder(Session& session, const EvaluateOptions& options,
                               const ModelReference& model, std::string* version) {
  std::error_code error;
  if (!fs::is_directory(options.folder, error)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--folder: ", EscapeControls(options.folder),
                     " is no folder; give one that has a folder of pictures per class."));
  }
  const auto taken = GetVersion(session, model);
  if (!taken.ok()) return taken.status();
  PushOptions push;
  push.name = options.dataset.empty() ? NameOfFolder(options.folder) : options.dataset;
  push.paths = {options.folder};
  push.import.set_height(taken->image_shape().height());
  push.import.set_width(taken->image_shape().width());
  push.import.set_color(taken->image_shape().channels() == 1 ? v1::IMPORT_COLOR_GREY
                                                             : v1::IMPORT_COLOR_RGB);
  push.import.set_test_fraction(1);
  push.follow = options.scoring.follow;
  push.follow.quiet = !session.text();
  const auto code = PushToVersion(session, push, version);
  if (code.ok() && *code == kDone && session.text()) {
    session.Print(
        absl::StrCat("The folder is the data set ", ShortDataset(*version), "; `",
                     session.Suggest(absl::StrCat("datasets delete ", ShortDataset(*version))),
                     "` deletes it.\n"));
  }
  return code;
}

absl::StatusOr<int> Evaluate(Session& session, const EvaluateOptions& options) {
  if (options.dataset.empty() && options.folder.empty()) {
    return absl::InvalidArgumentError(
        "Nothing to evaluate on is given; give --dataset NAME or --folder DIR.");
  }
  const auto model = ModelOf(session, options.model);
  if (!model.ok()) return model.status();
  std::string dataset = options.dataset;
  if (!options.folder.empty()) {
    const auto code = PushFolder(session, options, *model, &dataset);
    if (!code.ok() || *code != kDone) return code;
  }
  auto name = DatasetName(dataset);
  if (!name.ok()) return name.status();
  v1::EvaluateModelRequest request;
  request.set_name(model->ResourceName());
  request.set_dataset(*std::move(name));
  request.set_split(options.split);
  request.set_request_id(RandomRequestId());
  const auto job = session.Call(&ModelService::EvaluateModel, request, {.repeats = 2});
  if (!job.ok()) return job.status();
  return FollowScoring(session, *job, options.scoring);
}

}  // namespace

void AddEvaluate(CommandSet* commands) {
  const auto options = std::make_shared<EvaluateOptions>();
  CLI::App* const command = commands->Add(
      {"evaluate",
       "Score a model on other data",
       "A job measures accuracy, loss, F1, calibration and the confusion matrix, and lists the\n"
       "most confidently wrong images; the model's own result stays as it is. Classes are\n"
       "matched by name. A folder with a folder of pictures per class is pushed as a data set\n"
       "first, called FOLDER-evaluation unless --dataset names it, with images fitted to the\n"
       "model.\n"
       "Exit codes as of `atelier train`.",
       {{"atelier evaluate cnn-3 --dataset digits@2", "the version latest on test images"},
        {"atelier evaluate cnn-3@production --folder photos/ -o wrong.png", ""}}},
      [options](Session& session) {
        return ExplainKind(session, options->model, {Kind::kModel}, Evaluate(session, *options));
      });
  AddModelArgument(command, &options->model);
  command->add_option("--dataset", options->dataset, "NAME or NAME@VERSION")->type_name("NAME");
  command
      ->add_option("--folder", options->folder, "A folder of pictures per class, of this machine")
      ->type_name("DIR");
  AddWordOption(command, "--split", v1::DatasetSplit_descriptor(),
                "training, validation or test [test]",
                [options](int value) { options->split = static_cast<v1::DatasetSplit>(value); });
  AddScoringOptions(command, &options->scoring);
}

}  // namespace atelier::client
