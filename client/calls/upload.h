// Sends an upload: from where it ended, again after every broken connection, until all of it is
// there. Used by one thread.
#ifndef ATELIER_CLIENT_CALLS_UPLOAD_H_
#define ATELIER_CLIENT_CALLS_UPLOAD_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "atelier/v1/dataset_service.pb.h"
#include "client/calls/connection.h"
#include "client/files/upload_source.h"

namespace atelier::client {

struct UploadOptions {
  // How long to wait for a lost connection, or for another client that sends the same.
  absl::Duration patience = absl::Seconds(60);
  // Told how many bytes were sent, of all.
  std::function<void(std::int64_t sent)> progress = [](auto) {};
  // Told once when the connection is lost, and once when it is back.
  std::function<void(bool lost)> connection = [](auto) {};
  std::function<bool()> interrupted = [] { return false; };
};

// `upload` is what CreateUpload answered. CANCELLED when interrupted, UNAVAILABLE when a lost
// connection was not restored in time; otherwise the error of the server or of the file that cannot
// be read.
absl::Status SendUpload(Connection* connection, v1::Upload upload, UploadSource* source,
                        const UploadOptions& options);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CALLS_UPLOAD_H_
