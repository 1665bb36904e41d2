#include "client/calls/download.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "client/calls/arguments.h"
#include "client/calls/resource_kind.h"
#include "client/commands/commands.h"
#include "client/comparing/targets.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/terminal/interrupt.h"
#include "client/terminal/progress_bar.h"

namespace atelier::client {
namespace {

struct DownloadCommandOptions {
  std::string name;
  bool tensorboard = false;
  v1::ModelFormat format = v1::MODEL_FORMAT_UNSPECIFIED;
  DownloadOptions download;
};

void PrintDone(Session& session, const Downloaded& done) {
  switch (session.format()) {
    case OutputFormat::kText:
      session.Print(absl::StrCat(
          "Wrote ", EscapeControls(done.path), ": ",
          done.model_version.empty() ? "" : ShortModel(EscapeControls(done.model_version)) + ", ",
          Bytes(done.bytes), ", SHA-256 checked.\n"));
      break;
    case OutputFormat::kJson: {
      // The first chunk's figures, without the data.
      v1::DownloadChunk summary;
      summary.set_model_version(done.model_version);
      summary.set_file_name(done.path);
      summary.set_total_bytes(done.bytes);
      summary.set_sha256(done.sha256);
      session.PrintJson(summary);
      break;
    }
    case OutputFormat::kCsv:
      session.Print(
          CsvLine({"path", "model_version", "bytes", "sha256"}) +
          CsvLine({done.path, done.model_version, absl::StrCat(done.bytes), done.sha256}));
      break;
  }
}

absl::StatusOr<decltype(DownloadOptions::request)> RequestOf(
    Session& session, const DownloadCommandOptions& options) {
  if (options.tensorboard) {
    auto name = JobName(options.name);
    if (!name.ok()) return name.status();
    v1::DownloadTensorboardRequest request;
    request.set_name(*std::move(name));
    return request;
  }
  const auto reference = ModelOf(session, options.name);
  if (!reference.ok()) return reference.status();
  v1::DownloadModelRequest request;
  request.set_name(reference->ResourceName());
  request.set_format(options.format);
  return request;
}

absl::StatusOr<int> RunDownload(Session& session, DownloadCommandOptions& options) {
  auto request = RequestOf(session, options);
  if (!request.ok()) return request.status();
  auto connection = session.Connect();
  if (!connection.ok()) return connection.status();
  DownloadOptions& download = options.download;
  download.request = *std::move(request);
  ProgressBar bar(session.terminal(), session.text());
  download.progress = [&bar](std::int64_t received, std::int64_t total) {
    if (total <= 0) return;
    bar.Show(static_cast<double>(received) / static_cast<double>(total), Bytes(received));
  };
  const Interrupt interrupt;
  download.interrupted = [&session] { return session.interrupted(); };
  const auto done = Download(*connection, download);
  bar.Clear();
  if (!done.ok()) return done.status();
  PrintDone(session, *done);
  return kDone;
}

}  // namespace

void AddDownload(CommandSet* commands) {
  const auto options = std::make_shared<DownloadCommandOptions>();
  CLI::App* const command = commands->Add(
      {"download",
       "Download a model, or a job's TensorBoard log",
       "An archive contains the model as TorchScript and ONNX, class names, metadata, metrics and\n"
       "the confusion matrix. Its checksum is verified. With --tensorboard the job's events so\n"
       "far are written to a subfolder named after the job, for `tensorboard --logdir`.",
       {{"atelier download cnn-3", ""},
        {"atelier download cnn-3@production -o model.tar.gz", ""},
        {"atelier download cnn-3 --format=onnx", "for other inference programs"},
        {"atelier download cnn-3-20260101-120000 --tensorboard", ""}}},
      [options](Session& session) {
        return ExplainKind(session, options->name,
                           {options->tensorboard ? Kind::kJob : Kind::kModel},
                           RunDownload(session, *options));
      });
  AddModelArgument(
      command, &options->name,
      "NAME, NAME@VERSION, NAME@ALIAS, jobs/JOB or experiments/EXPERIMENT (best run); with "
      "--tensorboard a job");
  const auto set_format = [options](const std::string& word) {
    const auto format = ParseEnum(v1::ModelFormat_descriptor(), "--format", word);
    if (!format.ok()) throw CLI::ValidationError(std::string(format.status().message()));
    options->format = static_cast<v1::ModelFormat>(*format);
  };
  CLI::Option* const format =
      command
          ->add_option_function<std::string>("--format", set_format,
                                             "archive, torchscript or onnx [archive]")
          ->type_name("NAME");
  command->add_flag("--tensorboard", options->tensorboard, "A job's TensorBoard log")
      ->excludes(format);
  command
      ->add_option("-o,--output-file", options->download.target,
                   "Target file or folder [current folder, or tensorboard]")
      ->type_name("PATH");
  command->add_flag("--force", options->download.force, "Replace an existing file");
}

}  // namespace atelier::client
