// Downloads a model, a job's TensorBoard log, or a backup of the server. The file is written under
// a temporary name, checked against the SHA-256 that the server sent, synced and then renamed, so a
// failed download leaves no file behind and an older file unchanged. Used by one thread.
#ifndef ATELIER_CLIENT_CALLS_DOWNLOAD_H_
#define ATELIER_CLIENT_CALLS_DOWNLOAD_H_

#include <cstdint>
#include <functional>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "atelier/v1/model_service.pb.h"
#include "atelier/v1/training_service.pb.h"
#include "client/calls/connection.h"

namespace atelier::client {

struct DownloadOptions {
  std::variant<v1::DownloadModelRequest, v1::DownloadTensorboardRequest> request;
  // Where to write. A model: a file, a folder, or empty for the current folder; in a folder the
  // file is named after the model version. A log: a folder, created if missing, or empty for
  // `tensorboard`; the log goes into a subfolder named after the job.
  std::string target;
  // Whether an existing file may be replaced.
  bool force = false;
  // Called with the bytes received and their total.
  std::function<void(std::int64_t received, std::int64_t total)> progress = [](auto, auto) {};
  std::function<bool()> interrupted = [] { return false; };
};

struct Downloaded {
  std::string path;
  // `models/{model}/versions/{version}`; empty for a log.
  std::string model_version;
  std::int64_t bytes = 0;
  std::string sha256;
};

// ALREADY_EXISTS if the file exists, DATA_LOSS if the checksum does not match, CANCELLED when
// interrupted, otherwise the error of the server or the file system.
absl::StatusOr<Downloaded> Download(Connection* connection, const DownloadOptions& options);

struct BackupOptions {
  std::string path;    // Of the file.
  bool force = false;  // Whether an existing file may be replaced.
  // Called with the bytes received and about how many there are; 0 if that is not known yet.
  std::function<void(std::int64_t received, std::int64_t total)> progress = [](auto, auto) {};
  std::function<bool()> interrupted = [] { return false; };
};

// Downloads a backup of all that the server keeps. DATA_LOSS if it is cut off, else as Download.
absl::StatusOr<Downloaded> DownloadBackup(Connection* connection, const BackupOptions& options);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CALLS_DOWNLOAD_H_
