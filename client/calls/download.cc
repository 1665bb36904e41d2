#include "client/calls/download.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/calls/arguments.h"
#include "client/calls/status_text.h"
#include "client/files/new_file.h"
#include "client/terminal/display_text.h"
#include "models/files/sha256.h"

namespace atelier::client {
namespace {

// `cnn-3-v4.tar.gz`.
std::string FileName(absl::string_view model_version, v1::ModelFormat format) {
  const std::string name = FileStem(model_version);
  switch (format) {
    case v1::MODEL_FORMAT_TORCHSCRIPT:
      return name + ".pt";
    case v1::MODEL_FORMAT_ONNX:
      return name + ".onnx";
    default:
      return name + ".tar.gz";
  }
}

// Whether a file name from the server is plain: no folders, not hidden.
bool IsPlainName(absl::string_view name) {
  if (name.empty() || name.size() > 255 || name[0] == '.') return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_';
  });
}

bool IsFolder(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

bool Exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::symlink_status(path, ignored));
}

// Receives the chunks of one download.
class Receiver {
 public:
  explicit Receiver(const DownloadOptions& options) : options_(options) {}

  absl::Status Receive(const v1::DownloadChunk& chunk) {
    if (!file_.has_value()) {
      if (const absl::Status status = Begin(chunk); !status.ok()) return status;
    }
    sha256_.Update(chunk.data().data(), chunk.data().size());
    received_ += static_cast<std::int64_t>(chunk.data().size());
    options_.progress(received_, total_);
    return file_->Write(chunk.data());
  }

  absl::StatusOr<Downloaded> Finish() {
    if (!file_.has_value()) return absl::DataLossError("The server sent nothing.");
    result_.bytes = received_;
    result_.sha256 = sha256_.Finish();
    if (received_ != total_ || result_.sha256 != expected_) {
      return absl::DataLossError(absl::StrCat("The download is corrupt: ", Count(),
                                              " with the SHA-256 ", result_.sha256, " instead of ",
                                              EscapeControls(expected_),
                                              ". No file was written. Try again; if it "
                                              "fails again, the file is damaged on the server."));
    }
    if (absl::Status status = file_->Commit(options_.force); !status.ok()) return status;
    return std::move(result_);
  }

 private:
  absl::Status Begin(const v1::DownloadChunk& first) {
    total_ = first.total_bytes();
    expected_ = first.sha256();
    result_.model_version = first.model_version();
    auto path = PathFor(first);
    if (!path.ok()) return path.status();
    result_.path = *std::move(path);
    if (!options_.force && Exists(result_.path)) return FileExists(result_.path);
    auto file = NewFile::Create(result_.path);
    if (!file.ok()) return file.status();
    file_.emplace(*std::move(file));
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> PathFor(const v1::DownloadChunk& first) const {
    const std::filesystem::path target = options_.target;
    if (const auto* model = std::get_if<v1::DownloadModelRequest>(&options_.request)) {
      if (!options_.target.empty() && !IsFolder(options_.target)) return options_.target;
      return (target / FileName(first.model_version(), model->format())).string();
    }
    const std::string job(Leaf(std::get<v1::DownloadTensorboardRequest>(options_.request).name()));
    if (!IsPlainName(first.file_name()) || !IsPlainName(job)) {
      return absl::DataLossError(
          absl::StrCat("The server names the file '", EscapeControls(first.file_name()),
                       "', which is not a plain file name. No file was written."));
    }
    const std::filesystem::path folder = (target.empty() ? "tensorboard" : target) / job;
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) {
      return absl::PermissionDeniedError(
          absl::StrCat("The folder ", EscapeControls(folder.string()),
                       " cannot be created: ", error.message(), "."));
    }
    return (folder / first.file_name()).string();
  }

  std::string Count() const { return absl::StrCat(received_, " of ", total_, " bytes"); }

  const DownloadOptions& options_;
  std::optional<NewFile> file_;
  models::Sha256 sha256_;
  std::string expected_;
  std::int64_t received_ = 0;
  std::int64_t total_ = 0;
  Downloaded result_;
};

using Reader = std::unique_ptr<grpc::ClientReaderInterface<v1::DownloadChunk>>;

Reader Ask(Connection* connection, grpc::ClientContext* context, const DownloadOptions& options) {
  if (const auto* model = std::get_if<v1::DownloadModelRequest>(&options.request)) {
    return connection->stub<ModelService>().DownloadModel(context, *model);
  }
  return connection->stub<TrainingService>().DownloadTensorboard(
      context, std::get<v1::DownloadTensorboardRequest>(options.request));
}

}  // namespace

absl::StatusOr<Downloaded> Download(Connection* connection, const DownloadOptions& options) {
  const bool model = std::holds_alternative<v1::DownloadModelRequest>(options.request);
  const bool file_named = model && !options.target.empty() && !IsFolder(options.target);
  if (file_named && !options.force && Exists(options.target)) return FileExists(options.target);
  Receiver receiver(options);
  grpc::ClientContext context;
  const Reader reader = Ask(connection, &context, options);
  v1::DownloadChunk chunk;
  absl::Status received;
  while (received.ok() && reader->Read(&chunk)) {
    received = options.interrupted() ? absl::CancelledError("Interrupted; no file was written.")
                                     : receiver.Receive(chunk);
  }
  if (!received.ok()) context.TryCancel();
  const grpc::Status status = reader->Finish();
  if (!received.ok()) return received;
  if (!status.ok()) return ToStatus(status, connection->address());
  return receiver.Finish();
}

absl::StatusOr<Downloaded> DownloadBackup(Connection* connection, const BackupOptions& options) {
  if (!options.force && Exists(options.path)) return FileExists(options.path);
  auto file = NewFile::Create(options.path);
  if (!file.ok()) return file.status();
  grpc::ClientContext context;
  const auto reader = connection->stub<AdminService>().Backup(&context, v1::BackupRequest());
  models::Sha256 digest;
  Downloaded result;
  result.path = options.path;
  v1::BackupChunk chunk;
  absl::Status received;
  while (received.ok() && reader->Read(&chunk)) {
    digest.Update(chunk.data().data(), chunk.data().size());
    result.bytes += static_cast<std::int64_t>(chunk.data().size());
    options.progress(result.bytes, chunk.total_bytes());
    received = options.interrupted() ? absl::CancelledError("Interrupted; no file was written.")
                                     : file->Write(chunk.data());
  }
  if (!received.ok()) context.TryCancel();
  const grpc::Status status = reader->Finish();
  if (!received.ok()) return received;
  if (!status.ok()) return ToStatus(status, connection->address());
  result.sha256 = digest.Finish();
  if (result.sha256 != chunk.sha256()) {
    return absl::DataLossError(absl::StrCat("The backup was cut off after ", result.bytes,
                                            " bytes; no file was written."));
  }
  if (auto done = file->Commit(options.force); !done.ok()) return done;
  return result;
}

}  // namespace atelier::client
