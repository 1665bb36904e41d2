// `atelier datasets push`: sends files and has them made a data set.
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "client/calls/arguments.h"
#include "client/calls/upload.h"
#include "client/commands/dataset_commands.h"
#include "client/commands/dataset_text.h"
#include "client/commands/follow.h"
#include "client/files/upload_source.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/terminal/interrupt.h"
#include "client/terminal/progress_bar.h"
#include "models/base/import_limits.h"
#include "proto/flags/size.h"

namespace atelier::client {
namespace {

// What was done, how fast, and how long the rest takes.
class Speed {
 public:
  explicit Speed(std::int64_t begin) : begin_(begin) {}

  std::string Words(std::int64_t done, std::int64_t all) const {
    const double seconds = absl::ToDoubleSeconds(absl::Now() - since_);
    std::string words = absl::StrCat(Bytes(done), " of ", Bytes(all));
    if (seconds < 0.5 || done <= begin_) return words;
    const double speed = static_cast<double>(done - begin_) / seconds;
    absl::StrAppend(&words, ", ", Bytes(std::llround(speed)), "/s");
    if (done < all) {
      absl::StrAppend(&words, ", ",
                      Duration(absl::Seconds(static_cast<double>(all - done) / speed)), " left");
    }
    return words;
  }

 private:
  const std::int64_t begin_;
  const absl::Time since_ = absl::Now();
};

double Share(std::int64_t done, std::int64_t all) {
  return all > 0 ? static_cast<double>(done) / static_cast<double>(all) : 1;
}

// Before anything is read: `datasets/{dataset}`.
absl::StatusOr<std::string> NewName(const std::string& text) {
  auto name = DatasetName(text);
  if (!name.ok()) return name;
  const absl::string_view id = Leaf(*name);
  const bool plain = !id.empty() && id.size() <= 63 && id.front() != '-' && id.back() != '-' &&
                     std::all_of(id.begin(), id.end(), [](char c) {
                       return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
                     });
  if (plain && *name == absl::StrCat("datasets/", id)) return name;
  return absl::InvalidArgumentError(absl::StrCat(
      "'", EscapeControls(text),
      "' cannot be a data set's name; give 1 to 63 characters of a-z, 0-9 and '-', the "
      "first and last a letter or digit. The server counts the versions."));
}

class Push {
 public:
  Push(Session& session, const PushOptions& options, UploadSource source, std::string name)
      : session_(session),
        options_(options),
        source_(std::move(source)),
        name_(std::move(name)),
        bar_(session.terminal(), session.text()) {}

  absl::StatusOr<int> Run() {
    const auto pushed = Send();
    if (!pushed.ok()) return Interrupted(pushed.status());
    if (!pushed->existing_version.empty()) {
      const auto code = ShowExisting(pushed->existing_version);
      return options_.check && code.ok() ? Check(pushed->existing_version) : code;
    }
    if (options_.detach) {
      PrintStarted(session_, pushed->job);
      return kDone;
    }
    FollowOptions follow = options_.follow;
    // One table, that of the check.
    follow.quiet = options_.check && session_.format() == OutputFormat::kCsv;
    v1::TrainingJob ended;
    const auto code = FollowJob(session_, pushed->job, follow, &ended);
    if (!options_.check || !code.ok() || *code != kDone) return code;
    return Check(ended.import_result().dataset_version());
  }

  // Waits until the version is there, unless the exit code is another than kDone.
  absl::StatusOr<int> RunToVersion(std::string* version) {
    const auto pushed = Send();
    if (!pushed.ok()) return Interrupted(pushed.status());
    *version = pushed->existing_version;
    if (!version->empty()) return kDone;
    v1::TrainingJob ended;
    auto code = FollowJob(session_, pushed->job, options_.follow, &ended);
    *version = ended.import_result().dataset_version();
    return code;
  }

 private:
  // Either a version that was there or the job that makes one.
  struct Pushed {
    std::string existing_version;
    v1::TrainingJob job;
  };

  // CANCELLED when interrupted.
  absl::StatusOr<Pushed> Send() {
    const Interrupt interrupt;
    const auto sha256 = Digest();
    if (!sha256.ok()) return sha256.status();
    // Another client that sends the same may have had it imported meanwhile: then once more.
    absl::Status status;
    for (int tries = 0; tries < 2; ++tries) {
      const auto upload = Announce(*sha256);
      if (!upload.ok()) return upload.status();
      if (!upload->existing_version().empty()) return Pushed{upload->existing_version(), {}};
      auto started = SendAndImport(*upload);
      if (started.ok()) return Pushed{{}, *std::move(started)};
      status = started.status();
      if (!absl::IsNotFound(status)) break;
    }
    return status;
  }

  absl::StatusOr<std::string> Digest() {
    const Speed speed(0);
    auto sha256 = source_.Sha256(
        [&](std::int64_t read) {
          bar_.Show(Share(read, source_.size()),
                    absl::StrCat("reading  ", speed.Words(read, source_.size())));
        },
        [this] { return session_.interrupted(); });
    bar_.Clear();
    return sha256;
  }

  absl::StatusOr<v1::Upload> Announce(const std::string& sha256) {
    v1::CreateUploadRequest request;
    request.set_dataset(name_);
    request.set_size_bytes(source_.size());
    request.set_sha256(sha256);
    request.set_source_name(source_.name());
    *request.mutable_options() = options_.import;
    SetResources(&request);
    return session_.Call(&DatasetService::CreateUpload, request, {.repeats = 2});
  }

  template <typename Request>
  void SetResources(Request* request) const {
    if (options_.cores.has_value()) request->set_cores(*options_.cores);
    if (options_.memory_bytes.has_value()) request->set_memory_bytes(*options_.memory_bytes);
  }

  absl::StatusOr<v1::TrainingJob> SendAndImport(const v1::Upload& upload) {
    auto connection = session_.Connect();
    if (!connection.ok()) return connection.status();
    const std::int64_t begin = upload.received_bytes();
    if (session_.text() && begin > 0) {
      session_.Print(absl::StrCat("Continues an earlier upload: ", Bytes(begin), " of ",
                                  Bytes(upload.size_bytes()), " are there.\n"));
    }
    const Speed speed(begin);
    UploadOptions sending;
    sending.patience = options_.follow.patience;
    sending.interrupted = [this] { return session_.interrupted(); };
    sending.progress = [&](std::int64_t sent) {
      bar_.Show(Share(sent, source_.size()),
                absl::StrCat("sending  ", speed.Words(sent, source_.size())));
    };
    sending.connection = [this](bool lost) {
      bar_.Clear();
      session_.terminal().err << (lost ? "atelier: connection lost, waiting for the server…"
                                       : "atelier: connected again")
                              << std::endl;
    };
    const auto sent = SendUpload(*connection, upload, &source_, sending);
    bar_.Clear();
    if (!sent.ok()) return sent;
    if (session_.text()) {
      session_.Print(absl::StrCat("Sent ", source_.name(), ", ",
                                  Count(static_cast<std::int64_t>(source_.files()), "file"), ", ",
                                  Bytes(source_.size()), ".\n"));
    }
    v1::ImportDatasetRequest request;
    request.set_upload(upload.name());
    *request.mutable_options() = options_.import;
    SetResources(&request);
    return session_.Call(&DatasetService::ImportDataset, request,
                         {.timeout = absl::Minutes(5), .repeats = 2});
  }

  absl::StatusOr<int> Interrupted(const absl::Status& status) {
    if (!absl::IsCancelled(status)) return status;
    session_.terminal().err
        << "atelier: Interrupted; the same command continues the upload within a "
           "day."
        << std::endl;
    return kInterrupted;
  }

  absl::StatusOr<int> Check(const std::string& version) {
    if (session_.text()) session_.Print("\n");
    v1::CheckDatasetRequest request;
    request.set_name(version);
    ScoringOptions scoring;
    scoring.follow = options_.follow;
    return CheckDataset(session_, std::move(request), scoring);
  }

  absl::StatusOr<int> ShowExisting(const std::string& version) {
    const auto dataset = FetchDataset(session_, version);
    if (!dataset.ok()) return dataset.status();
    if (session_.text()) {
      session_.Print(absl::StrCat("Nothing was sent: ", ShortDataset(version),
                                  " was made of the same content with the same options.\n\n"));
    }
    // With a check, programs get the table of the check alone.
    if (!options_.check || session_.format() != OutputFormat::kCsv)
      PrintDataset(session_, *dataset);
    return kDone;
  }

  Session& session_;
  const PushOptions& options_;
  UploadSource source_;
  const std::string name_;
  ProgressBar bar_;
};

absl::StatusOr<int> RunPush(Session& session, const PushOptions& options) {
  auto name = NewName(options.name);
  if (!name.ok()) return name.status();
  auto source = UploadSource::Open(options.paths);
  if (!source.ok()) return source.status();
  return Push(session, options, *std::move(source), *std::move(name)).Run();
}

void SetSize(const std::string& text, v1::ImportOptions* options) {
  const std::vector<std::string> parts = absl::StrSplit(text, absl::ByAnyChar("xX"));
  std::int32_t height = 0;
  std::int32_t width = 0;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &height) ||
      !absl::SimpleAtoi(parts[1], &width)) {
    throw CLI::ValidationError(
        "--size", absl::StrCat("'", EscapeControls(text), "' is not HEIGHTxWIDTH, such as 28x28."));
  }
  options->set_height(height);
  options->set_width(width);
}

void AddFraction(CLI::App* command, const char* flag, double most, const char* help,
                 const std::function<void(double)>& set) {
  command->add_option_function<double>(flag, set, help)->type_name("X")->check(Between(0, most));
}

void AddImportOptions(CLI::App* command, v1::ImportOptions* import) {
  command
      ->add_option_function<std::string>(
          "--size", [import](const std::string& text) { SetSize(text, import); },
          "Height and width of every image, 1 to 512 [the most frequent]")
      ->type_name("HxW");
  AddWordOption(command, "--color", v1::ImportColor_descriptor(),
                "auto, grey or rgb [auto: grey if all images are]",
                [import](int value) { import->set_color(static_cast<v1::ImportColor>(value)); });
  AddWordOption(command, "--fit", v1::ImportFit_descriptor(),
                "Images of other sizes: pad, stretch or crop [pad]",
                [import](int value) { import->set_fit(static_cast<v1::ImportFit>(value)); });
  command->add_flag_function(
      "--invert", [import](std::int64_t) { import->set_invert(true); },
      "Black becomes white: for dark strokes on paper");
  command
      ->add_option_function<std::string>(
          "--classes",
          [import](const std::string& text) {
            import->clear_class_names();
            for (const auto name : absl::StrSplit(text, ',')) {
              import->add_class_names(std::string(name));
            }
          },
          "Names of the classes in the order of their labels [the source's, sorted]")
      ->type_name("A,B,…");
  AddFraction(command, "--test-fraction", models::kAllForTest,
              "Images for the test if the source has no test split, 0 to 0.5 [0.2]; 1: all",
              [import](double value) { import->set_test_fraction(value); });
  AddFraction(command, "--validation-fraction", models::kMaxHeldBack,
              "Images for a validation split of the data set's own, 0 to 0.5 [none]",
              [import](double value) { import->set_validation_fraction(value); });
  command
      ->add_option_function<std::int64_t>(
          "--seed", [import](std::int64_t value) { import->set_seed(value); },
          "Seed of the choice of these images [0]")
      ->type_name("N");
  AddWordOption(command, "--axes", v1::ArrayAxes_descriptor(),
                "Order of an array's axes: auto, nhw, nhwc or nchw [auto]",
                [import](int value) { import->set_axes(static_cast<v1::ArrayAxes>(value)); });
}

// What the job may use, as of a training.
void AddResourceOptions(CLI::App* command, PushOptions* options) {
  command->add_option("--cores", options->cores, "Processor cores [the server's default]")
      ->type_name("N");
  command
      ->add_option_function<std::string>(
          "--memory",
          [options](const std::string& text) {
            const auto bytes = flags::ParseSize(text);
            if (!bytes.ok()) {
              throw CLI::ValidationError("--memory", absl::StrCat("'", EscapeControls(text),
                                                                  "' is not a size like 2GiB."));
            }
            options->memory_bytes = *bytes;
          },
          "Memory limit [2GiB]")
      ->type_name("SIZE");
}

}  // namespace

absl::StatusOr<int> PushToVersion(Session& session, const PushOptions& options,
                                  std::string* version) {
  auto name = NewName(options.name);
  if (!name.ok()) return name.status();
  auto source = UploadSource::Open(options.paths);
  if (!source.ok()) return source.status();
  return Push(session, options, *std::move(source), *std::move(name)).RunToVersion(version);
}

void AddDatasetPush(CommandSet* commands, CLI::App* family) {
  const auto options = std::make_shared<PushOptions>();
  CLI::App* const command = commands->Add(
      {"push",
       "Send pictures or arrays and make a data set of them",
       "Takes a folder with a folder of PNG, JPEG or WebP files per class, a .zip or .tar of one,\n"
       "NumPy arrays (.npz), IDX files, CIFAR's binary files or a CSV file. An interrupted\n"
       "upload is continued by the same command. A job of the server then imports what was sent\n"
       "as a new version; Ctrl-C detaches from it. Exit codes as of `atelier train`.",
       {{"atelier datasets push pets pictures/", "a folder per class"},
        {"atelier datasets push pets pets.zip --size 64x64 --color rgb", ""},
        {"atelier datasets push blood bloodmnist.npz", "train, validation and test arrays"},
        {"atelier datasets push pets pictures/ --check", "and list the labels that may be wrong"},
        {"atelier train --dataset pets --preset cnn-2", "then"}}},
      [options](Session& session) { return RunPush(session, *options); }, family);
  command->add_option("NAME", options->name, "The data set")->required()->type_name("");
  command->add_option("PATH", options->paths, "A file or a folder; several are sent together")
      ->required()
      ->type_name("")
      ->expected(1, 1'000'000);
  AddImportOptions(command, &options->import);
  AddResourceOptions(command, options.get());
  CLI::Option* const check = command->add_flag(
      "--check", options->check, "Then look for wrong labels, as `atelier datasets check`");
  command->add_flag("--detach", options->detach, "Start the import and return at once")
      ->excludes(check);
  AddFollowOptions(command, &options->follow);
}

}  // namespace atelier::client
