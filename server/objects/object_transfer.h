// Moves one file to an object store and back, in parts, several at once: what is there already is
// not sent again, and nothing is believed to have arrived that was not verified.
#ifndef ATELIER_SERVER_OBJECTS_OBJECT_TRANSFER_H_
#define ATELIER_SERVER_OBJECTS_OBJECT_TRANSFER_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/jobs/object_list.h"
#include "server/objects/s3_client.h"

namespace atelier::objects {

// How large the parts of an object of that size are: 16 MiB, or more where that would make more
// than the 10,000 parts that S3 allows.
std::int64_t PartBytes(std::int64_t size_bytes);

// Thread-safe; calls wait for network and disk. Errors are the client's, and those of the file.
class ObjectTransfer {
 public:
  // Stores the id of an upload in parts, so that it can be gone on with after a restart.
  using KeepUpload = std::function<absl::Status(const std::string& id)>;

  // `client` must live as long.
  explicit ObjectTransfer(S3Client* client) : client_(client) {}

  // Uploads the file as record.key, going on with record.upload if that was begun; answers with the
  // record, completed by size, parts and digests. Verified by size and MD5 (the ETag); where the
  // ETag is none, all of it is read back.
  absl::StatusOr<jobs::ObjectRecord> Upload(jobs::ObjectRecord record, const std::string& file,
                                            const KeepUpload& keep);

  // Writes a stored object's bytes to the file, which is durable, and verified by SHA-256, when it
  // appears. What an earlier call left of it is gone on with. DATA_LOSS if the store's bytes are
  // others than were stored.
  absl::Status Fetch(const jobs::ObjectRecord& record, const std::string& file);

  // Removes the object, and an upload in parts that was begun.
  absl::Status Remove(const jobs::ObjectRecord& record);

 private:
  struct Sending;

  absl::StatusOr<std::string> SendWhole(Sending* sending);
  absl::StatusOr<std::string> SendParts(Sending* sending);
  absl::Status BeginParts(Sending* sending, std::map<int, S3Client::Object>* there);
  absl::Status Verify(const jobs::ObjectRecord& record, const std::string& etag);
  // One part's bytes, whose SHA-256 is right.
  absl::StatusOr<std::string> FetchPart(const jobs::ObjectRecord& record, std::int64_t part);

  S3Client* const client_;
};

}  // namespace atelier::objects

#endif  // ATELIER_SERVER_OBJECTS_OBJECT_TRANSFER_H_
