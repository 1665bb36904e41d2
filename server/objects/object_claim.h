// Makes sure, before anything is uploaded, that the store can be used as it is given, and that no
// other server uses the same prefix: a marker object there holds the id of the server that does.
#ifndef ATELIER_SERVER_OBJECTS_OBJECT_CLAIM_H_
#define ATELIER_SERVER_OBJECTS_OBJECT_CLAIM_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/jobs/object_list.h"
#include "server/objects/s3_client.h"

namespace atelier::objects {

inline constexpr char kMarkerKey[] = "atelier-server";

// Not thread-safe.
class ObjectClaim {
 public:
  // The ids of servers are those of store::ServerId. `list` must live as long.
  ObjectClaim(std::string server_id, std::string data_dir, jobs::ObjectList* list)
      : server_id_(std::move(server_id)), data_dir_(std::move(data_dir)), list_(list) {}

  // OK once the prefix is this server's and can be written to. UNAVAILABLE if the store cannot be
  // asked now; FAILED_PRECONDITION for what somebody has to put right. Both with a sentence that
  // names the location. Of a prefix that has never been this server's, everything that the list
  // calls stored is uploaded again.
  absl::Status Claim(S3Client* client, absl::Time now);
  bool claimed() const { return claimed_; }

 private:
  absl::Status Take(S3Client* client, absl::Time now);
  absl::Status TakeNew(S3Client* client, absl::Time now);
  // Refuses to leave the only copies of files behind.
  absl::Status CheckNothingIsElsewhere(const S3Options& options) const;

  const std::string server_id_;
  const std::string data_dir_;
  jobs::ObjectList* const list_;
  bool claimed_ = false;
};

}  // namespace atelier::objects

#endif  // ATELIER_SERVER_OBJECTS_OBJECT_CLAIM_H_
