#include "client/download.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "client/arguments.h"
#include "client/commands/commands.h"
#include "client/exit_codes.h"
#include "client/figures.h"
#include "client/interrupt.h"
#include "client/progress_bar.h"

namespace atelier::client {
namespace {

struct DownloadCommandOptions {
  std::string model;
  DownloadOptions download;
};

void PrintDone(Session& session, const Downloaded& done) {
  switch (session.format()) {
    case OutputFormat::kText:
      session.Print(absl::StrCat("Wrote ", EscapeControls(done.path), ": ",
                                 ShortModel(EscapeControls(done.model_version)), ", ",
                                 Bytes(done.bytes), ", SHA-256 checked.\n"));
      break;
    case OutputFormat::kJson: {
      // The first chunk's figures, without the data.
      v1::DownloadChunk summary;
      summary.set_model_version(done.model_version);
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

absl::StatusOr<int> RunDownload(Session& session, DownloadCommandOptions& options) {
  const auto reference = ParseModel(options.model);
  if (!reference.ok()) return reference.status();
  auto connection = session.Connect();
  if (!connection.ok()) return connection.status();
  DownloadOptions& download = options.download;
  download.request.set_name(reference->ResourceName());
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
       "Download a model",
       "An archive holds the model as TorchScript and ONNX, class names, metadata, metrics and\n"
       "the confusion matrix. What arrives is checked before it gets its name.",
       {{"atelier download cnn-3", ""},
        {"atelier download cnn-3@production -o model.tar.gz", ""},
        {"atelier download cnn-3 --format=onnx", "For other inference programs"}}},
      [options](Session& session) { return RunDownload(session, *options); });
  command->add_option("MODEL", options->model, "NAME, NAME@VERSION or NAME@ALIAS")
      ->required()
      ->type_name("");
  const auto set_format = [options](const std::string& word) {
    const auto format = ParseEnum(v1::ModelFormat_descriptor(), "--format", word);
    if (!format.ok()) throw CLI::ValidationError(std::string(format.status().message()));
    options->download.request.set_format(static_cast<v1::ModelFormat>(*format));
  };
  command
      ->add_option_function<std::string>("--format", set_format,
                                         "archive, torchscript or onnx [archive]")
      ->type_name("NAME");
  command
      ->add_option("-o,--output-file", options->download.target,
                   "File or folder to write to [the present folder]")
      ->type_name("PATH");
  command->add_flag("--force", options->download.force, "Replace a file that exists");
}

}  // namespace atelier::client
