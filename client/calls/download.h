// Brings a file of the server's, a model's or a job's TensorBoard log, to this machine: written
// beside its place under a passing name, checked against the SHA-256 that the server sent, put on
// disk, and only then given its name. Whatever goes wrong leaves nothing behind and an older file
// as it was. Used by one thread.
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
  // Where to. A model: a file, a folder, or empty for the folder we are in; a folder's file is
  // named after the model version. A log: a folder, made where it is not, or empty for
  // `tensorboard`; in it a folder named after the job.
  std::string target;
  // Whether a file that exists may be replaced.
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

// ALREADY_EXISTS if the file exists, DATA_LOSS if what arrived is not what was sent, CANCELLED when
// interrupted, otherwise the error of the server or the file system.
absl::StatusOr<Downloaded> Download(Connection* connection, const DownloadOptions& options);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CALLS_DOWNLOAD_H_
