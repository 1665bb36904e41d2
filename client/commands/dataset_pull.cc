// `atelier datasets pull`: writes a data set's images into a folder, as the four IDX files or as
// PNG files in a folder per class.
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/calls/arguments.h"
#include "client/calls/dataset_images.h"
#include "client/commands/dataset_commands.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/terminal/interrupt.h"
#include "client/terminal/progress_bar.h"

namespace atelier::client {
namespace {

namespace fs = std::filesystem;

struct PullOptions {
  std::string name;
  std::string target;
  bool png = false;
};

struct Split {
  v1::DatasetSplit split;
  std::int64_t images;
  const char* folder;  // Of its PNG files.
};

std::vector<Split> SplitsOf(const v1::Dataset& dataset) {
  return {{v1::DATASET_SPLIT_TRAINING, dataset.training_images(), "train"},
          {v1::DATASET_SPLIT_VALIDATION, dataset.validation_images(), "val"},
          {v1::DATASET_SPLIT_TEST, dataset.test_images(), "test"}};
}

absl::Status CannotWrite(const fs::path& path) {
  return absl::UnavailableError(
      absl::StrCat(EscapeControls(path.string()), " cannot be written; is there enough space?"));
}

std::string BigEndian(std::int64_t number) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>((number >> shift) & 0xff));
  }
  return bytes;
}

// A folder beside its place, until everything is in it. Removed if it does not get there.
class NewFolder {
 public:
  static absl::StatusOr<std::unique_ptr<NewFolder>> Create(const std::string& target) {
    std::error_code error;
    if (fs::exists(target, error) &&
        !(fs::is_directory(target, error) && fs::is_empty(target, error))) {
      return absl::AlreadyExistsError(absl::StrCat(
          EscapeControls(target), " exists and is no empty folder; give another with -o."));
    }
    fs::path place = fs::absolute(target, error).lexically_normal();
    if (!place.has_filename()) place = place.parent_path();
    const std::string path = absl::StrCat(place.string(), ".partial-", getpid());
    if (!error) fs::create_directories(path, error);
    if (error) {
      return absl::PermissionDeniedError(absl::StrCat(
          "The folder ", EscapeControls(path), " cannot be created: ", error.message(), "."));
    }
    return std::unique_ptr<NewFolder>(new NewFolder(place, path));
  }
  ~NewFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  const fs::path& path() const { return path_; }
  absl::Status Commit() {
    std::error_code error;
    fs::rename(path_, place_, error);
    return error ? CannotWrite(place_) : absl::OkStatus();
  }

 private:
  NewFolder(fs::path place, fs::path path) : place_(std::move(place)), path_(std::move(path)) {}

  const fs::path place_;
  const fs::path path_;
};

// The folder of each class: its name where that can be one, else its number.
std::vector<std::string> ClassFolders(const v1::Dataset& dataset) {
  std::vector<std::string> folders;
  std::set<std::string> taken;
  for (int i = 0; i < dataset.class_names_size(); ++i) {
    const std::string& name = dataset.class_names(i);
    const bool plain = !name.empty() && name.size() <= 200 && name[0] != '.' &&
                       std::all_of(name.begin(), name.end(), [](unsigned char c) {
                         return c >= 0x20 && c != '/' && c != 0x7f;
                       });
    std::string folder = plain ? name : absl::StrCat("class-", i);
    while (!taken.insert(folder).second) folder = absl::StrCat("class-", i, "-", taken.size());
    folders.push_back(std::move(folder));
  }
  return folders;
}

class Pull {
 public:
  Pull(Session& session, const PullOptions& options, v1::Dataset dataset)
      : session_(session),
        options_(options),
        dataset_(std::move(dataset)),
        class_folders_(ClassFolders(dataset_)),
        bar_(session.terminal(), session.text()) {}

  absl::Status Run(const fs::path& folder) {
    if (!options_.png) {
      if (absl::Status status = WriteClassNames(folder); !status.ok()) return status;
    }
    for (const Split& split : SplitsOf(dataset_)) {
      const absl::Status status = options_.png ? WritePngs(folder, split) : WriteIdx(folder, split);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  using Sink = std::function<absl::Status(const v1::LabeledImage&)>;

  absl::Status WriteClassNames(const fs::path& folder) {
    const std::vector<std::string> names(dataset_.class_names().begin(),
                                         dataset_.class_names().end());
    std::ofstream file(folder / "class_names.json");
    file << nlohmann::json(names).dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
         << "\n";
    file.close();
    return file ? absl::OkStatus() : CannotWrite(folder);
  }

  // Hands over all images of a split, in their order.
  absl::Status ForEach(const Split& split, const Sink& sink) {
    const std::int64_t count = ImagesPerResponse(dataset_.image_shape());
    for (std::int64_t begin = 0; begin < split.images; begin += count) {
      v1::GetImagesRequest request;
      request.set_name(dataset_.name());
      request.set_split(split.split);
      request.set_png(options_.png);
      const std::int64_t end = std::min(split.images, begin + count);
      for (std::int64_t index = begin; index < end; ++index) request.add_indices(index);
      const auto images = session_.Call(&DatasetService::GetImages, request);
      if (!images.ok()) return images.status();
      if (images->images_size() != end - begin) {
        return absl::DataLossError("The server sent another number of images than asked for.");
      }
      for (const v1::LabeledImage& image : images->images()) {
        if (absl::Status status = sink(image); !status.ok()) return status;
      }
      if (session_.interrupted()) return absl::CancelledError("Interrupted; nothing was kept.");
      bar_.Show(static_cast<double>(end) / static_cast<double>(split.images),
                absl::StrCat(split.folder, "  ", Count(end), " of ", Count(split.images)));
    }
    return absl::OkStatus();
  }

  // The validation split is the end of the training images, where IDX files have none. Labels are
  // bytes, or rows of one 32-bit integer, as QMNIST has them, where there are too many classes.
  absl::Status WriteIdx(const fs::path& folder, const Split& split) {
    const v1::ImageShape& shape = dataset_.image_shape();
    const bool grey = shape.channels() == 1;
    const bool validation = split.split == v1::DATASET_SPLIT_VALIDATION;
    const char* const prefix = split.split == v1::DATASET_SPLIT_TEST ? "t10k" : "train";
    const auto mode = validation ? std::ios::app | std::ios::binary : std::ios::binary;
    std::ofstream pixels(folder / absl::StrCat(prefix, "-images-idx", grey ? 3 : 4, "-ubyte"),
                         mode);
    const bool wide = dataset_.class_names_size() > 256;
    std::ofstream labels(
        folder / absl::StrCat(prefix, "-labels-", wide ? "idx2-int" : "idx1-ubyte"), mode);
    if (!validation) {
      const std::int64_t images = split.split == v1::DATASET_SPLIT_TEST
                                      ? split.images
                                      : split.images + dataset_.validation_images();
      pixels << BigEndian(grey ? 0x0803 : 0x0804) << BigEndian(images);
      if (!grey) pixels << BigEndian(shape.channels());
      pixels << BigEndian(shape.height()) << BigEndian(shape.width());
      labels << BigEndian(wide ? 0x0c02 : 0x0801) << BigEndian(images);
      if (wide) labels << BigEndian(1);
    }
    absl::Status status = ForEach(split, [&](const v1::LabeledImage& image) {
      pixels << image.data();
      const std::string label = BigEndian(image.label());
      labels << (wide ? label : label.substr(3));
      return pixels && labels ? absl::OkStatus() : CannotWrite(folder);
    });
    pixels.close();
    labels.close();
    if (status.ok() && (!pixels || !labels)) status = CannotWrite(folder);
    return status;
  }

  // By their index, so that the files have the order of the images.
  absl::Status WritePngs(const fs::path& folder, const Split& split) {
    if (split.images == 0) return absl::OkStatus();
    std::error_code error;
    for (const std::string& name : class_folders_) {
      fs::create_directories(folder / split.folder / name, error);
      if (error) return CannotWrite(folder);
    }
    return ForEach(split, [&](const v1::LabeledImage& image) {
      const auto label = static_cast<std::size_t>(image.label());
      if (label >= class_folders_.size()) {
        return absl::DataLossError("The server sent a label that has no class.");
      }
      const fs::path path = folder / split.folder / class_folders_[label] /
                            absl::StrFormat("%07d.png", image.index());
      std::ofstream file(path, std::ios::binary);
      file << image.data();
      file.close();
      return file ? absl::OkStatus() : CannotWrite(path);
    });
  }

  Session& session_;
  const PullOptions& options_;
  const v1::Dataset dataset_;
  const std::vector<std::string> class_folders_;
  ProgressBar bar_;
};

absl::StatusOr<int> RunPull(Session& session, const PullOptions& options) {
  auto folder = NewFolder::Create(options.target);
  if (!folder.ok()) return folder.status();
  const auto dataset = FetchDataset(session, options.name);
  if (!dataset.ok()) return dataset.status();
  if (!dataset->problem().empty()) return absl::FailedPreconditionError(dataset->problem());
  if (dataset->training_images() == 0 && !options.png) {
    return absl::FailedPreconditionError(
        absl::StrCat("The data set ", ShortDataset(dataset->name()),
                     " has no training images, which IDX files need; pull it with --png."));
  }
  const Interrupt interrupt;
  absl::Status status = Pull(session, options, *dataset).Run((*folder)->path());
  if (status.ok()) status = (*folder)->Commit();
  if (!status.ok()) return status;
  if (session.format() == OutputFormat::kJson) session.PrintJson(*dataset);
  if (session.text()) {
    session.Print(absl::StrCat(
        "Wrote ", ShortDataset(dataset->name()), " to ", EscapeControls(options.target), ": ",
        Count(dataset->training_images() + dataset->validation_images() + dataset->test_images(),
              "image"),
        options.png ? " as PNG files.\n" : " as IDX files.\n"));
  }
  return kDone;
}

}  // namespace

void AddDatasetPull(CommandSet* commands, CLI::App* family) {
  const auto options = std::make_shared<PullOptions>();
  CLI::App* const command = commands->Add(
      {"pull",
       "Write a data set's images into a folder",
       "As the four IDX files and class_names.json, which `atelierd --datasets` also reads, with "
       "the\n"
       "validation images last among the training images; or with --png as a folder per split and\n"
       "class. Both can be pushed again.",
       {{"atelier datasets pull digits -o digits/", ""},
        {"atelier datasets pull digits@2 --png -o pictures/", ""}}},
      [options](Session& session) { return RunPull(session, *options); }, family);
  command->add_option("NAME", options->name, "NAME or NAME@VERSION")->required()->type_name("");
  command->add_option("-o,--output-folder", options->target, "A new or empty folder")
      ->required()
      ->type_name("FOLDER");
  command->add_flag("--png", options->png, "PNG files, not IDX files");
}

}  // namespace atelier::client
