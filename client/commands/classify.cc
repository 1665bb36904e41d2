// `atelier classify`: classifies image files or images of a data set.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/calls/arguments.h"
#include "client/calls/dataset_images.h"
#include "client/calls/resource_kind.h"
#include "client/classifying/bulk_classifier.h"
#include "client/classifying/classification_printer.h"
#include "client/commands/commands.h"
#include "client/comparing/targets.h"
#include "client/files/image_files.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/terminal/interrupt.h"
#include "client/terminal/picture.h"
#include "client/terminal/progress_bar.h"

namespace atelier::client {
namespace {

constexpr std::size_t kMaxTestImages = 100;
// More images than this, or a folder, are printed in one line each.
constexpr std::size_t kMostInFull = 10;
constexpr int kPictureWidth = 40;

struct ClassifyOptions {
  std::string model;
  std::vector<std::string> files;
  std::vector<std::int64_t> test_images;
  std::string dataset;
  bool from_stdin = false;
  // Without model and images.
  v1::ClassifyRequest request;
  v1::Resize resize = v1::RESIZE_UNSPECIFIED;
  v1::Inversion inversion = v1::INVERSION_AUTO;
};

v1::ClassifyRequest EmptyRequest(const ClassifyOptions& options, const ModelReference& model) {
  v1::ClassifyRequest request = options.request;
  request.set_model(model.ResourceName());
  return request;
}

v1::ClassifyRequest FileRequest(const ClassifyOptions& options, const ModelReference& model) {
  v1::ClassifyRequest request = EmptyRequest(options, model);
  request.mutable_encoded()->set_resize(options.resize);
  request.mutable_encoded()->set_inversion(options.inversion);
  return request;
}

// A request whose images are all there already.
class WholeRequest {
 public:
  WholeRequest(Session* session, v1::ClassifyRequest request)
      : session_(session), request_(std::move(request)) {}

  absl::Status Send(std::vector<ClassifiedImage> images, const FieldNamer& name_field,
                    ClassificationPrinter* printer) {
    const auto answer =
        session_->Call(&InferenceService::Classify, request_, {.name_field = name_field});
    if (!answer.ok()) return answer.status();
    if (answer->classifications_size() != static_cast<int>(images.size())) {
      return absl::InternalError(absl::StrCat("The server answered for ",
                                              answer->classifications_size(), " images instead of ",
                                              images.size(), "."));
    }
    for (std::size_t i = 0; i < images.size(); ++i) {
      images[i].classification = answer->classifications(static_cast<int>(i));
      printer->Print(*answer, images[i]);
    }
    return absl::OkStatus();
  }

  v1::ClassifyRequest* operator->() { return &request_; }

 private:
  Session* const session_;
  v1::ClassifyRequest request_;
};

void Draw(const Session& session, const v1::GetImagesResponse& answer,
          const v1::LabeledImage& labeled, ClassifiedImage* image) {
  const int width = std::min(kPictureWidth, session.terminal().width() / 2);
  image->picture = DrawPicture(labeled.data(), answer.image_shape(), session.style(), width);
  const int shape_width = std::max(1, answer.image_shape().width());
  const int stride = (shape_width + width - 1) / std::max(1, width);
  image->picture_width = stride == 0 ? 0 : (shape_width + stride - 1) / stride;
}

absl::Status ClassifyFrom(Session& session, const v1::GetImagesRequest& request,
                          v1::ClassifyRequest classify, ClassificationPrinter* printer) {
  const auto name_field = [](absl::string_view field) {
    return field == "indices" ? std::string("--test-image") : FlagOf(field);
  };
  const auto answer = GetImages(session, request, {.name_field = name_field});
  if (!answer.ok()) return answer.status();
  WholeRequest whole(&session, std::move(classify));
  std::vector<ClassifiedImage> images;
  for (const v1::LabeledImage& labeled : answer->images()) {
    whole->mutable_raw()->mutable_pixels()->append(labeled.data());
    ClassifiedImage image;
    image.title =
        absl::StrCat("Test image ", labeled.index(), " of ", ShortDataset(request.name()));
    if (labeled.label() >= 0 && labeled.label() < answer->class_names_size()) {
      image.true_class = answer->class_names(labeled.label());
    }
    if (session.text() && session.terminal().interactive) Draw(session, *answer, labeled, &image);
    images.push_back(std::move(image));
  }
  return whole.Send(std::move(images), name_field, printer);
}

absl::StatusOr<int> ClassifyTestImages(Session& session, const ClassifyOptions& options,
                                       const ModelReference& model) {
  const auto dataset = DatasetOf(session, options.dataset, model);
  if (!dataset.ok()) return dataset.status();
  ClassificationPrinter printer(&session, /*brief=*/false);
  const auto& indices = options.test_images;
  for (std::size_t begin = 0; begin < indices.size(); begin += kMaxTestImages) {
    const std::size_t end = std::min(indices.size(), begin + kMaxTestImages);
    v1::GetImagesRequest request;
    request.set_name(*dataset);
    request.set_split(v1::DATASET_SPLIT_TEST);
    request.mutable_indices()->Assign(indices.begin() + static_cast<std::ptrdiff_t>(begin),
                                      indices.begin() + static_cast<std::ptrdiff_t>(end));
    const absl::Status done =
        ClassifyFrom(session, request, EmptyRequest(options, model), &printer);
    if (!done.ok()) return done;
  }
  if (session.text() && indices.size() > 1) {
    session.Print(absl::StrCat("\n", printer.right(), " of ", indices.size(), " correct\n"));
  }
  return kDone;
}

absl::StatusOr<int> ClassifyStandardInput(Session& session, const ClassifyOptions& options,
                                          const ModelReference& model) {
  static constexpr char kTitle[] = "standard input";
  auto bytes = ReadImage(std::cin, kTitle);
  if (!bytes.ok()) return bytes.status();
  WholeRequest whole(&session, FileRequest(options, model));
  whole->mutable_encoded()->add_files(*std::move(bytes));
  ClassificationPrinter printer(&session, /*brief=*/false);
  ClassifiedImage image;
  image.title = kTitle;
  const absl::Status sent = whole.Send(
      {image},
      [](absl::string_view field) {
        return absl::StartsWith(field, "encoded.files") ? std::string(kTitle) : FlagOf(field);
      },
      &printer);
  if (!sent.ok()) return sent;
  return kDone;
}

// The number of files, for the progress bar; 0 if none is shown.
std::int64_t CountFiles(const Session& session, const std::vector<std::string>& paths) {
  if (!session.text() || !session.terminal().interactive) return 0;
  std::int64_t count = 0;
  for (ImageFiles files(paths); files.Next().has_value() && !session.interrupted();) ++count;
  return count;
}

// Prints answers and complaints, with a progress bar below them.
class FileReport {
 public:
  FileReport(Session* session, const std::vector<std::string>& paths, bool brief)
      : session_(session),
        printer_(session, brief),
        bar_(session->terminal(), session->text()),
        total_(CountFiles(*session, paths)) {}

  void Add(std::vector<BulkClassifier::Answer> answers) {
    bar_.Clear();
    for (BulkClassifier::Answer& answer : answers) {
      if (!answer.response.ok()) {
        ++skipped_;
        session_->terminal().out << std::flush;
        session_->terminal().err << "atelier: " << answer.response.status().message() << std::endl;
        continue;
      }
      if (session_->text()) EscapeControls(&*answer.response);
      ClassifiedImage image;
      image.title = EscapeControls(answer.path);
      image.classification = answer.response->classifications(0);
      printer_.Print(*answer.response, image);
    }
    if (total_ == 0) return;
    const std::int64_t done = printer_.images() + skipped_;
    bar_.Show(static_cast<double>(done) / static_cast<double>(std::max(done, total_)),
              absl::StrCat(Count(done), " of ", Count(std::max(done, total_))));
  }

  // The summary; returns the exit code.
  int End() {
    bar_.Clear();
    printer_.PrintSummary(absl::Now() - begin_);
    if (session_->interrupted()) {
      session_->terminal().out << std::flush;
      session_->terminal().err << "atelier: Interrupted: the remaining files were not classified."
                               << std::endl;
    }
    if (skipped_ == 0) return kDone;
    session_->terminal().out << std::flush;
    if (printer_.images() > 0 || skipped_ > 1) {
      session_->terminal().err << "atelier: " << Count(skipped_, "file")
                               << (skipped_ == 1 ? " was" : " were") << " skipped." << std::endl;
    }
    return kError;
  }

 private:
  Session* const session_;
  ClassificationPrinter printer_;
  ProgressBar bar_;
  const std::int64_t total_;
  const absl::Time begin_ = absl::Now();
  std::int64_t skipped_ = 0;
};

absl::StatusOr<int> ClassifyFiles(Session& session, const ClassifyOptions& options,
                                  const ModelReference& model) {
  auto connection = session.Connect();
  if (!connection.ok()) return connection.status();
  const Interrupt interrupt;
  const bool folder =
      std::any_of(options.files.begin(), options.files.end(), [](const std::string& path) {
        std::error_code error;
        return std::filesystem::is_directory(path, error);
      });
  FileReport report(&session, options.files, folder || options.files.size() > kMostInFull);
  ImageFiles files(options.files);
  BulkClassifier classifier(*connection,
                            {.request = FileRequest(options, model),
                             .interrupted = [&session] { return session.interrupted(); }});
  const absl::Status done = classifier.Run(
      &files,
      [&report](std::vector<BulkClassifier::Answer> answers) { report.Add(std::move(answers)); });
  const int code = report.End();
  if (!done.ok()) return done;
  return session.interrupted() ? kInterrupted : code;
}

absl::StatusOr<int> Classify(Session& session, const ClassifyOptions& options) {
  const int sources = (options.files.empty() ? 0 : 1) + (options.test_images.empty() ? 0 : 1) +
                      (options.from_stdin ? 1 : 0);
  if (sources != 1) {
    return absl::InvalidArgumentError(
        "Give the images after the model: files or folders, --stdin, or --test-image=N; one of the "
        "three.");
  }
  const auto model = ModelOf(session, options.model);
  if (!model.ok()) return model.status();
  if (options.from_stdin) return ClassifyStandardInput(session, options, *model);
  return options.files.empty() ? ClassifyTestImages(session, options, *model)
                               : ClassifyFiles(session, options, *model);
}

}  // namespace

void AddClassify(CommandSet* commands) {
  const auto options = std::make_shared<ClassifyOptions>();
  CLI::App* const command = commands->Add(
      {"classify",
       "Classify image files or test images with a model",
       "Files are PNG, JPEG or WebP, of any size; folders are searched recursively. A file\n"
       "that is not an image is reported and skipped; the exit code is then 1. With\n"
       "--output=json each image is a line, in the order of the images.",
       {{"atelier classify cnn-3 shoe.png bag.jpg", ""},
        {"atelier classify cnn-3@production photos/", "one line per image"},
        {"curl -s $URL | atelier classify cnn-3 --stdin", ""},
        {"atelier classify cnn-3@2 --test-image=0 --test-image=7", ""}}},
      [options](Session& session) {
        return ExplainKind(session, options->model, {Kind::kModel}, Classify(session, *options));
      });
  AddModelArgument(command, &options->model);
  command->add_option("IMAGE", options->files, "Image files or folders")->type_name("");
  command->add_flag("--stdin", options->from_stdin, "Read one image from standard input");
  AddWordOption(command, "--invert", v1::Inversion_descriptor(),
                "Invert dark on light: auto (by border), yes, no [auto]",
                [options](int value) { options->inversion = static_cast<v1::Inversion>(value); });
  AddWordOption(command, "--resize", v1::Resize_descriptor(),
                "Fit other sizes: pad, stretch, none (refuse) [pad]",
                [options](int value) { options->resize = static_cast<v1::Resize>(value); });
  command->add_option("--test-image", options->test_images, "A test image, from 0; may be repeated")
      ->type_name("N")
      ->allow_extra_args(false)
      ->check(AtLeast(0));
  command->add_option("--dataset", options->dataset, "Data set of --test-image [the model's]")
      ->type_name("NAME");
  command->add_flag_callback(
      "--calibrated", [options] { options->request.set_calibrated(true); },
      "Show probabilities at the version's temperature");
  command
      ->add_option_function<std::int32_t>(
          "--top-k", [options](std::int32_t value) { options->request.set_top_k(value); },
          "Classes to show per image [3]")
      ->type_name("K")
      ->check(AtLeast(1));
}

}  // namespace atelier::client
