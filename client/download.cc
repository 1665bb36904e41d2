#include "client/download.h"

#include <openssl/evp.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "client/arguments.h"
#include "client/display_text.h"
#include "client/new_file.h"
#include "client/status_text.h"

namespace atelier::client {
namespace {

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
  }

  void Add(absl::string_view data) { EVP_DigestUpdate(context_.get(), data.data(), data.size()); }

  // Lower-case hexadecimal digits; call once.
  std::string Finish() {
    std::string digest(EVP_MAX_MD_SIZE, '\0');
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.data()), &size);
    return absl::BytesToHexString(absl::string_view(digest).substr(0, size));
  }

 private:
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

// `cnn-3-v4.tar.gz`.
std::string FileName(absl::string_view model_version, v1::ModelFormat format) {
  const auto reference = ParseModel(model_version);
  const std::string name =
      reference.ok() ? absl::StrCat(reference->model, "-v", reference->version) : "model";
  switch (format) {
    case v1::MODEL_FORMAT_TORCHSCRIPT:
      return name + ".pt";
    case v1::MODEL_FORMAT_ONNX:
      return name + ".onnx";
    default:
      return name + ".tar.gz";
  }
}

bool IsFolder(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

bool Exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::symlink_status(path, ignored));
}

// Takes in the chunks of one download.
class Receiver {
 public:
  explicit Receiver(const DownloadOptions& options) : options_(options) {}

  absl::Status Receive(const v1::DownloadChunk& chunk) {
    if (!file_.has_value()) {
      if (const absl::Status status = Begin(chunk); !status.ok()) return status;
    }
    sha256_.Add(chunk.data());
    received_ += static_cast<std::int64_t>(chunk.data().size());
    options_.progress(received_, total_);
    return file_->Write(chunk.data());
  }

  absl::StatusOr<Downloaded> Finish() {
    if (!file_.has_value()) return absl::DataLossError("The server sent nothing.");
    result_.bytes = received_;
    result_.sha256 = sha256_.Finish();
    if (received_ != total_ || result_.sha256 != expected_) {
      return absl::DataLossError(absl::StrCat(
          "What arrived is not what was sent: ", Count(), " with the SHA-256 ", result_.sha256,
          " instead of ", EscapeControls(expected_), ". Nothing was kept; try again."));
    }
    if (absl::Status status = file_->Commit(options_.force); !status.ok()) return status;
    return std::move(result_);
  }

 private:
  absl::Status Begin(const v1::DownloadChunk& first) {
    total_ = first.total_bytes();
    expected_ = first.sha256();
    result_.model_version = first.model_version();
    const bool folder = options_.target.empty() || IsFolder(options_.target);
    result_.path = folder ? (std::filesystem::path(options_.target) /
                             FileName(first.model_version(), options_.request.format()))
                                .string()
                          : options_.target;
    if (!options_.force && Exists(result_.path)) return FileExists(result_.path);
    auto file = NewFile::Create(result_.path);
    if (!file.ok()) return file.status();
    file_.emplace(*std::move(file));
    return absl::OkStatus();
  }

  std::string Count() const { return absl::StrCat(received_, " of ", total_, " bytes"); }

  const DownloadOptions& options_;
  std::optional<NewFile> file_;
  Sha256 sha256_;
  std::string expected_;
  std::int64_t received_ = 0;
  std::int64_t total_ = 0;
  Downloaded result_;
};

}  // namespace

absl::StatusOr<Downloaded> Download(Connection* connection, const DownloadOptions& options) {
  const bool file_named = !options.target.empty() && !IsFolder(options.target);
  if (file_named && !options.force && Exists(options.target)) return FileExists(options.target);
  Receiver receiver(options);
  grpc::ClientContext context;
  const auto reader = connection->stub<ModelService>().DownloadModel(&context, options.request);
  v1::DownloadChunk chunk;
  absl::Status received;
  while (received.ok() && reader->Read(&chunk)) {
    received = options.interrupted() ? absl::CancelledError("Interrupted; nothing was kept.")
                                     : receiver.Receive(chunk);
  }
  if (!received.ok()) context.TryCancel();
  const grpc::Status status = reader->Finish();
  if (!received.ok()) return received;
  if (!status.ok()) return ToStatus(status, connection->address());
  return receiver.Finish();
}

}  // namespace atelier::client
