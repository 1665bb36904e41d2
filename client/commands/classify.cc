// `atelier classify`: what a model makes of image files or of images of a data set.
#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/arguments.h"
#include "client/classification_text.h"
#include "client/commands/commands.h"
#include "client/exit_codes.h"
#include "client/figures.h"
#include "client/model_versions.h"
#include "client/picture.h"
#include "client/status_text.h"

namespace atelier::client {
namespace {

// The server's limits on one request, with some room left for the message around the images.
constexpr std::size_t kMaxFiles = 256;
constexpr std::size_t kMaxRequestBytes = std::size_t{15} << 20;
constexpr std::size_t kMaxFileBytes = std::size_t{10} << 20;
constexpr std::size_t kMaxTestImages = 100;
constexpr int kPictureWidth = 40;

struct ClassifyOptions {
  std::string model;
  std::vector<std::string> files;
  std::vector<std::int64_t> test_images;
  std::string dataset;
  std::int32_t top_k = 0;
};

absl::StatusOr<std::string> ReadImageFile(const std::string& path) {
  const std::string shown = EscapeControls(path);
  const auto wrong = [&shown](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(shown, ": ", why, "."));
  };
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return wrong("This is a folder, not an image");
  std::ifstream file(path, std::ios::binary);
  if (!file) return wrong(std::generic_category().message(errno));
  std::string bytes;
  std::array<char, 1 << 16> piece{};
  while (file && bytes.size() <= kMaxFileBytes) {
    file.read(piece.data(), piece.size());
    bytes.append(piece.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) return wrong("It cannot be read");
  if (bytes.size() > kMaxFileBytes) return wrong("It has more than 10 MiB");
  if (bytes.empty()) return wrong("It is empty");
  const bool png = absl::StartsWith(bytes, "\x89PNG\r\n\x1a\n");
  const bool jpeg = absl::StartsWith(bytes, "\xff\xd8\xff");
  if (!png && !jpeg) return wrong("It is neither a PNG nor a JPEG file");
  return bytes;
}

// Names the file for `encoded.files[2]`, if it is one of these.
FieldNamer FileNamer(std::vector<std::string> paths) {
  return [paths = std::move(paths)](absl::string_view field) {
    std::size_t index = 0;
    absl::string_view rest = field;
    if (absl::ConsumePrefix(&rest, "encoded.files[") && absl::ConsumeSuffix(&rest, "]") &&
        absl::SimpleAtoi(rest, &index) && index < paths.size()) {
      return paths[index];
    }
    return field == "indices" ? "--test-image" : FlagOf(field);
  };
}

// Sends images to be classified and prints the answers, request by request.
class Classifier {
 public:
  Classifier(Session* session, const ClassifyOptions& options, ModelReference model)
      : session_(session), options_(options), model_(std::move(model)) {
    if (session->format() == OutputFormat::kCsv) {
      session->Print(
          CsvLine({"image", "true_class", "rank", "class", "probability", "model_version"}));
    }
  }

  absl::Status ClassifyFiles() {
    v1::ClassifyRequest request = EmptyRequest();
    std::vector<ClassifiedImage> images;
    std::size_t bytes = 0;
    // All are read before the first is sent: a wrong name shall not cost half the work.
    std::vector<std::string> contents;
    for (const std::string& path : options_.files) {
      auto content = ReadImageFile(path);
      if (!content.ok()) return content.status();
      contents.push_back(*std::move(content));
    }
    for (std::size_t i = 0; i < contents.size(); ++i) {
      const bool full = images.size() == kMaxFiles || bytes + contents[i].size() > kMaxRequestBytes;
      if (full && !images.empty()) {
        if (const absl::Status sent = Send(request, &images); !sent.ok()) return sent;
        request = EmptyRequest();
        bytes = 0;
      }
      bytes += contents[i].size();
      request.mutable_encoded()->add_files(std::move(contents[i]));
      images.emplace_back().title = EscapeControls(options_.files[i]);
    }
    return Send(request, &images);
  }

  absl::Status ClassifyTestImages() {
    const auto dataset = Dataset();
    if (!dataset.ok()) return dataset.status();
    const auto& indices = options_.test_images;
    for (std::size_t begin = 0; begin < indices.size(); begin += kMaxTestImages) {
      const std::size_t end = std::min(indices.size(), begin + kMaxTestImages);
      v1::GetImagesRequest request;
      request.set_name(*dataset);
      request.set_split(v1::DATASET_SPLIT_TEST);
      request.mutable_indices()->Assign(indices.begin() + static_cast<std::ptrdiff_t>(begin),
                                        indices.begin() + static_cast<std::ptrdiff_t>(end));
      const absl::Status done = ClassifyFrom(request);
      if (!done.ok()) return done;
    }
    if (session_->text() && indices.size() > 1) {
      session_->Print(absl::StrCat("\n", right_, " of ", indices.size(), " right\n"));
    }
    return absl::OkStatus();
  }

 private:
  v1::ClassifyRequest EmptyRequest() const {
    v1::ClassifyRequest request;
    request.set_model(model_.ResourceName());
    request.set_top_k(options_.top_k);
    return request;
  }

  // The data set that was named, or else the one that the model was trained on.
  absl::StatusOr<std::string> Dataset() {
    if (!options_.dataset.empty()) return DatasetName(options_.dataset);
    v1::GetModelRequest request;
    request.set_name(model_.ModelName());
    const auto model = session_->Call(&ModelService::GetModel, request);
    if (!model.ok()) return model.status();
    if (model->versions().empty()) {
      return absl::NotFoundError(absl::StrCat("The model ", model_.model, " has no versions."));
    }
    const auto version = FindVersion(*model, model_.version);
    // A version that is not there is for Classify to complain about.
    const v1::ModelVersion& trained = version.ok() ? **version : model->versions(0);
    return DatasetName(trained.spec().dataset());
  }

  absl::Status ClassifyFrom(const v1::GetImagesRequest& request) {
    const auto answer =
        session_->Call(&DatasetService::GetImages, request, {.name_field = FileNamer({})});
    if (!answer.ok()) return answer.status();
    v1::ClassifyRequest classify = EmptyRequest();
    std::vector<ClassifiedImage> images;
    for (const v1::LabeledImage& labeled : answer->images()) {
      classify.mutable_raw()->mutable_pixels()->append(labeled.data());
      ClassifiedImage image;
      image.title = absl::StrCat("Test image ", labeled.index(), " of ", Leaf(request.name()));
      if (labeled.label() >= 0 && labeled.label() < answer->class_names_size()) {
        image.true_class = answer->class_names(labeled.label());
      }
      if (session_->text() && session_->terminal().interactive) Draw(*answer, labeled, &image);
      images.push_back(std::move(image));
    }
    return Send(classify, &images);
  }

  void Draw(const v1::GetImagesResponse& answer, const v1::LabeledImage& labeled,
            ClassifiedImage* image) {
    const int width = std::min(kPictureWidth, session_->terminal().width() / 2);
    image->picture = DrawPicture(labeled.data(), answer.image_shape(), session_->style(), width);
    const int shape_width = std::max(1, answer.image_shape().width());
    const int stride = (shape_width + width - 1) / std::max(1, width);
    image->picture_width = stride == 0 ? 0 : (shape_width + stride - 1) / stride;
  }

  absl::Status Send(const v1::ClassifyRequest& request, std::vector<ClassifiedImage>* images) {
    std::vector<std::string> titles;
    for (const ClassifiedImage& image : *images) titles.push_back(image.title);
    const auto answer = session_->Call(&InferenceService::Classify, request,
                                       {.name_field = FileNamer(std::move(titles))});
    if (!answer.ok()) return answer.status();
    if (answer->classifications_size() != static_cast<int>(images->size())) {
      return absl::InternalError(absl::StrCat("The server answered for ",
                                              answer->classifications_size(), " images instead of ",
                                              images->size(), "."));
    }
    for (std::size_t i = 0; i < images->size(); ++i) {
      ClassifiedImage& image = (*images)[i];
      image.classification = answer->classifications(static_cast<int>(i));
      right_ += IsRight(image) ? 1 : 0;
      Print(*answer, image);
    }
    images->clear();
    return absl::OkStatus();
  }

  void Print(const v1::ClassifyResponse& answer, const ClassifiedImage& image) {
    switch (session_->format()) {
      case OutputFormat::kText:
        if (!titled_)
          session_->Print(absl::StrCat("By ", ShortModel(answer.model_version()), "\n"));
        session_->Print("\n" +
                        ClassificationText(image, session_->style(), session_->terminal().width()));
        titled_ = true;
        break;
      case OutputFormat::kJson: {
        v1::ClassifyResponse line = answer;
        line.clear_classifications();
        *line.add_classifications() = image.classification;
        session_->PrintJson(line);
        break;
      }
      case OutputFormat::kCsv:
        PrintCsv(answer, image);
        break;
    }
  }

  void PrintCsv(const v1::ClassifyResponse& answer, const ClassifiedImage& image) {
    int rank = 0;
    for (const auto& entry : image.classification.classes()) {
      session_->Print(CsvLine({image.title, image.true_class, absl::StrCat(++rank), entry.name(),
                               Exact(entry.probability()), answer.model_version()}));
    }
  }

  Session* const session_;
  const ClassifyOptions& options_;
  const ModelReference model_;
  int right_ = 0;
  bool titled_ = false;
};

absl::StatusOr<int> Classify(Session& session, const ClassifyOptions& options) {
  if (options.files.empty() == options.test_images.empty()) {
    return absl::InvalidArgumentError(
        "Name the images: either files (PNG or JPEG), or --test-image=N, which may be repeated.");
  }
  const auto model = ParseModel(options.model);
  if (!model.ok()) return model.status();
  Classifier classifier(&session, options, *model);
  const absl::Status status =
      options.files.empty() ? classifier.ClassifyTestImages() : classifier.ClassifyFiles();
  if (!status.ok()) return status;
  return kDone;
}

}  // namespace

void AddClassify(CommandSet* commands) {
  const auto options = std::make_shared<ClassifyOptions>();
  CLI::App* const command =
      commands->Add({"classify",
                     "Classify image files or test images with a model",
                     "Files are PNG or JPEG and of the size that the model was trained on. With\n"
                     "--output=json every image's answer is a line, in the order of the images.",
                     {{"atelier classify --model=cnn-3 shoe.png bag.jpg", ""},
                      {"atelier classify --model=cnn-3@production --top-k=1 *.png", ""},
                      {"atelier classify --model=cnn-3@2 --test-image=0 --test-image=7", ""}}},
                    [options](Session& session) { return Classify(session, *options); });
  command->add_option("--model", options->model, "The model: NAME, NAME@VERSION or NAME@ALIAS")
      ->required()
      ->type_name("MODEL");
  command->add_option("IMAGE", options->files, "Image files")->type_name("");
  command
      ->add_option("--test-image", options->test_images,
                   "A test image, counted from 0; may be repeated")
      ->type_name("N")
      ->allow_extra_args(false)
      ->check(AtLeast(0));
  command
      ->add_option("--dataset", options->dataset,
                   "Where it is from [what the model was trained on]")
      ->type_name("NAME");
  command->add_option("--top-k", options->top_k, "Classes to show per image [3]")
      ->type_name("K")
      ->check(AtLeast(1));
}

}  // namespace atelier::client
