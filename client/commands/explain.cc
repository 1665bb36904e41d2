// `atelier explain`: where in an image the evidence for an answer is.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/calls/resource_kind.h"
#include "client/classifying/classification_text.h"
#include "client/commands/commands.h"
#include "client/commands/image_argument.h"
#include "client/commands/picture_target.h"
#include "client/comparing/targets.h"
#include "client/files/picture_files.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"

namespace atelier::client {
namespace {

struct ExplainOptions {
  std::string model;
  ImageArgument image;
  // Without model and image.
  v1::ExplainRequest request;
  PictureTarget target;
};

bool ByOcclusion(const v1::Explanation& explanation) {
  return explanation.method() == v1::EXPLANATION_METHOD_OCCLUSION;
}

std::string HeatCsv(const v1::Explanation& explanation) {
  std::string csv = CsvLine({"row", "column", "value"});
  const std::int64_t width = std::max(explanation.width(), 1);
  std::int64_t i = 0;
  for (const float value : Floats(explanation.values())) {
    absl::StrAppend(&csv,
                    CsvLine({absl::StrCat(i / width), absl::StrCat(i % width), Exact(value)}));
    ++i;
  }
  return csv;
}

std::string MethodText(const v1::Explanation& explanation) {
  if (ByOcclusion(explanation)) {
    return absl::StrCat("occlusion, window ", explanation.window(), ", stride ",
                        explanation.stride());
  }
  return absl::StrCat("Grad-CAM of block ", explanation.block(), " of ", explanation.block_count());
}

std::string ExplanationText(const Session& session, const v1::Explanation& explanation,
                            const NamedImage& image, const std::string& path) {
  ClassifiedImage answer;
  answer.title = image.title;
  answer.true_class = EscapeControls(image.true_class);
  for (const v1::ClassProbability& entry : explanation.classes()) {
    *answer.classification.add_classes() = entry;
    v1::ClassProbability& added = *answer.classification.mutable_classes()->rbegin();
    added.set_name(EscapeControls(entry.name()));
  }
  return absl::StrCat(
      "By ", EscapeControls(ShortModel(explanation.model_version())), "\n\n",
      ClassificationText(answer, session.style(), session.terminal().width()), "\nEvidence for ",
      EscapeControls(explanation.target().name()), " (",
      Percent(explanation.target().probability()), ") by ", MethodText(explanation), ": ",
      explanation.height(), "×", explanation.width(),
      absl::StrFormat(" values from %.3g to %.3g\n", explanation.minimum(), explanation.maximum()),
      "Wrote ", EscapeControls(path), ", ",
      Bytes(static_cast<std::int64_t>(explanation.png().size())), ".\n");
}

absl::StatusOr<v1::Explanation> Fetch(Session& session, const ExplainOptions& options,
                                      NamedImage* image) {
  const auto model = ModelOf(session, options.model);
  if (!model.ok()) return model.status();
  v1::ExplainRequest request = options.request;
  request.set_name(model->ResourceName());
  request.set_values(!session.text());
  auto read = ReadImage(session, options.image, *model);
  if (!read.ok()) return read.status();
  *image = *std::move(read);
  image->MoveTo(&request);
  auto connection = session.Connect();
  if (!connection.ok()) return connection.status();
  const auto names = [others = image->FieldNames()](absl::string_view field) {
    return field == "target_class" ? "--class" : others(field);
  };
  // Not through the session, which would make the picture's bytes readable.
  return (*connection)->Call(&ModelService::Explain, request, {.name_field = names});
}

absl::StatusOr<int> RunExplain(Session& session, const ExplainOptions& options) {
  NamedImage image;
  const auto explanation = Fetch(session, options, &image);
  if (!explanation.ok()) return explanation.status();
  const auto path =
      WritePicture(session, options.target,
                   absl::StrCat(FileStem(explanation->model_version()), "-", image.stem,
                                ByOcclusion(*explanation) ? "-occlusion" : "-grad-cam", ".png"),
                   explanation->png());
  if (!path.ok()) return path.status();
  switch (session.format()) {
    case OutputFormat::kText:
      session.Print(ExplanationText(session, *explanation, image, *path));
      ShowPicture(session.terminal(), explanation->png());
      break;
    case OutputFormat::kJson:
      session.PrintJson(*explanation);
      break;
    case OutputFormat::kCsv:
      session.Print(HeatCsv(*explanation));
      break;
  }
  return kDone;
}

void AddNumber(CLI::App* command, const std::shared_ptr<ExplainOptions>& options, const char* flag,
               const std::string& help, void (v1::ExplainRequest::*set)(std::int32_t)) {
  command
      ->add_option_function<std::int32_t>(
          flag, [options, set](std::int32_t value) { (options->request.*set)(value); }, help)
      ->type_name("N")
      ->check(AtLeast(1));
}

void AddMethodOptions(CLI::App* command, const std::shared_ptr<ExplainOptions>& options) {
  AddWordOption(command, "--method", v1::ExplanationMethod_descriptor(),
                "grad-cam or occlusion [grad-cam]", [options](int value) {
                  options->request.set_method(static_cast<v1::ExplanationMethod>(value));
                });
  command
      ->add_option_function<std::string>(
          "--class",
          [options](const std::string& name) { options->request.set_target_class(name); },
          "Class to explain, a name or a number from 0 [the most probable]")
      ->type_name("CLASS");
  AddNumber(command, options, "--block,--layer",
            "Grad-CAM: block (convolution layer), from 1 [the last]",
            &v1::ExplainRequest::set_block);
  AddNumber(command, options, "--window",
            "Occlusion: edge of the covering square, in pixels [a quarter of the image's]",
            &v1::ExplainRequest::set_window);
  AddNumber(command, options, "--stride",
            "Occlusion: pixels from one position to the next [half the window]",
            &v1::ExplainRequest::set_stride);
}

}  // namespace

void AddExplain(CommandSet* commands) {
  const auto options = std::make_shared<ExplainOptions>();
  CLI::App* const command = commands->Add(
      {"explain",
       "Show where in an image the evidence for a class is",
       "Classifies the image and writes a PNG file: the image in grey, and over it the evidence\n"
       "for the class, from black over orange to light yellow. Grad-CAM weights the feature maps\n"
       "of a block by the class's gradients; occlusion covers a square of the image and measures\n"
       "how far the class's probability falls (blue: it rises). Terminals with graphics (kitty,\n"
       "Ghostty, iTerm2, WezTerm, mintty) also show the picture. With --output=json or csv the\n"
       "values are printed, and a file is written only if -o is given.",
       {{"atelier explain cnn-3 boot.png", ""},
        {"atelier explain cnn-3@2 --test-image=7 --class=Sandal --block=1 -o sandal.png", ""},
        {"atelier explain cnn-3 boot.png --method=occlusion --window=4 --stride=1", ""}}},
      [options](Session& session) {
        return ExplainKind(session, options->model, {Kind::kModel}, RunExplain(session, *options));
      });
  AddModelArgument(command, &options->model);
  AddImageArgument(command, &options->image);
  AddMethodOptions(command, options);
  command
      ->add_option_function<std::int32_t>(
          "--zoom", [options](std::int32_t value) { options->request.set_zoom(value); },
          "Pixels per image pixel along each edge, 1 to 32 [8]")
      ->type_name("N")
      ->check(Between(1, 32));
  AddPictureTarget(command, &options->target);
}

}  // namespace atelier::client
