// The SHA-256 of an upload as far as it was received.
#ifndef ATELIER_SERVER_UPLOADS_UPLOAD_DIGEST_H_
#define ATELIER_SERVER_UPLOADS_UPLOAD_DIGEST_H_

#include <cstdint>

#include "models/files/sha256.h"
#include "server/uploads/upload_folder.h"

namespace atelier::uploads {

// Of the first `bytes` of it.
struct UploadFolder::Digest {
  models::Sha256 sha256;
  std::int64_t bytes = 0;
};

}  // namespace atelier::uploads

#endif  // ATELIER_SERVER_UPLOADS_UPLOAD_DIGEST_H_
