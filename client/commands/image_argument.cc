#include "client/commands/image_argument.h"

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/commands/command_set.h"
#include "client/comparing/targets.h"
#include "client/files/image_files.h"

namespace atelier::client {
namespace {

absl::StatusOr<NamedImage> FetchTestImage(Session& session, const ImageArgument& argument,
                                          const ModelReference& model) {
  auto dataset = DatasetOf(session, argument.dataset, model);
  if (!dataset.ok()) return dataset.status();
  v1::GetImagesRequest wanted;
  wanted.set_name(*dataset);
  wanted.set_split(v1::DATASET_SPLIT_TEST);
  wanted.add_indices(*argument.test_image);
  auto connection = session.Connect();
  if (!connection.ok()) return connection.status();
  auto images = (*connection)->Call(&DatasetService::GetImages, wanted);
  if (!images.ok()) return images.status();
  if (images->images_size() != 1) return absl::InternalError("The server sent no image.");
  v1::LabeledImage& image = *images->mutable_images(0);
  NamedImage named;
  named.title = absl::StrCat("test image ", image.index(), " of ", ShortDataset(*dataset));
  named.stem = absl::StrCat("test", image.index());
  if (image.label() >= 0 && image.label() < images->class_names_size()) {
    named.true_class = images->class_names(image.label());
  }
  named.raw.set_pixels(std::move(*image.mutable_data()));
  return named;
}

absl::StatusOr<NamedImage> ReadFile(const ImageArgument& argument) {
  auto bytes = ReadImageFile(argument.file);
  if (!bytes.ok()) return bytes.status();
  NamedImage named;
  named.title = EscapeControls(argument.file);
  named.stem = std::filesystem::path(argument.file).stem().string();
  named.encoded.add_files(*std::move(bytes));
  named.encoded.set_resize(argument.resize);
  named.encoded.set_inversion(argument.inversion);
  return named;
}

}  // namespace

void AddImageArgument(CLI::App* command, ImageArgument* argument) {
  command->add_option("IMAGE", argument->file, "An image file")->type_name("");
  command
      ->add_option("--test-image", argument->test_image, "A test image instead of a file, from 0")
      ->type_name("N")
      ->check(AtLeast(0));
  command->add_option("--dataset", argument->dataset, "Data set of --test-image [the model's]")
      ->type_name("NAME");
  AddWordOption(command, "--invert", v1::Inversion_descriptor(),
                "Invert dark on light: auto (by border), yes, no [auto]",
                [argument](int value) { argument->inversion = static_cast<v1::Inversion>(value); });
  AddWordOption(command, "--resize", v1::Resize_descriptor(),
                "Fit another size: pad, stretch, none (refuse) [pad]",
                [argument](int value) { argument->resize = static_cast<v1::Resize>(value); });
}

FieldNamer NamedImage::FieldNames() const {
  return [title = title](absl::string_view field) {
    const bool image =
        absl::StartsWith(field, "encoded.files") || absl::StartsWith(field, "raw.pixels");
    return image ? title : FlagOf(field);
  };
}

absl::StatusOr<NamedImage> ReadImage(Session& session, const ImageArgument& argument,
                                     const ModelReference& model) {
  if (argument.file.empty() != argument.test_image.has_value()) {
    return absl::InvalidArgumentError("Give the image: a file or --test-image=N, one of the two.");
  }
  return argument.test_image.has_value() ? FetchTestImage(session, argument, model)
                                         : ReadFile(argument);
}

}  // namespace atelier::client
