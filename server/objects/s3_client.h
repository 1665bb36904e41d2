// The calls of the S3 API that an artifact store needs, on one bucket and prefix.
#ifndef ATELIER_SERVER_OBJECTS_S3_CLIENT_H_
#define ATELIER_SERVER_OBJECTS_S3_CLIENT_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/files/regular_file.h"
#include "server/base/clock.h"
#include "server/http/http_transport.h"
#include "server/objects/aws_credentials.h"
#include "server/objects/digest.h"
#include "server/objects/s3_options.h"
#include "server/objects/signature.h"

namespace atelier::objects {

// Thread-safe; calls wait for the network. Keys are those behind the prefix. Errors, each a
// sentence's end: the transport's, StatusOf's (s3_answers.h), UNAUTHENTICATED without credentials.
class S3Client {
 public:
  // A piece of a file, and its digests.
  struct Piece {
    const models::RegularFile* file = nullptr;
    std::int64_t offset = 0;
    std::int64_t bytes = 0;
    Digests digests;
  };
  // As the store describes an object, or a part of one.
  struct Object {
    std::int64_t bytes = 0;
    std::string etag;  // Plain.
  };

  // `transport` and `clock` must live as long.
  S3Client(S3Options options, http::Transport* transport, const Clock* clock,
           Environment environment)
      : options_(std::move(options)),
        transport_(transport),
        clock_(clock),
        environment_(std::move(environment)) {}

  const S3Options& options() const { return options_; }

  // Each answers with the plain ETag. `only_new`: ABORTED if there is an object of that key, as far
  // as the store knows conditional writes.
  absl::StatusOr<std::string> Put(absl::string_view key, const Piece& piece);
  absl::StatusOr<std::string> PutText(absl::string_view key, const std::string& text,
                                      bool only_new);

  // A range of an object: exactly so many bytes. DATA_LOSS if the store answers with others.
  absl::StatusOr<std::string> Get(absl::string_view key, std::int64_t offset, std::int64_t bytes);
  // A small object as a whole.
  absl::StatusOr<std::string> GetText(absl::string_view key);
  absl::StatusOr<Object> Head(absl::string_view key);
  // OK also if there is none.
  absl::Status Delete(absl::string_view key);

  // An upload in parts, which count from 1; Begin answers with its id, Parts with those that the
  // store has. The object is there once it is finished, with all the parts' ETags in order.
  absl::StatusOr<std::string> BeginUpload(absl::string_view key);
  absl::StatusOr<std::string> PutPart(absl::string_view key, const std::string& upload, int number,
                                      const Piece& piece);
  absl::StatusOr<std::map<int, Object>> Parts(absl::string_view key, const std::string& upload);
  absl::Status FinishUpload(absl::string_view key, const std::string& upload,
                            const std::vector<std::string>& etags);
  // OK also if there is none.
  absl::Status AbortUpload(absl::string_view key, const std::string& upload);

 private:
  struct Call {
    std::string method;
    absl::string_view key;
    Query query = {};
    std::map<std::string, std::string> headers = {};  // Beyond those that every call has.
    std::string text = {};                            // The body, where there is no piece.
    const Piece* piece = nullptr;
    std::int64_t max_answer_bytes = 1 << 20;
  };

  absl::StatusOr<http::Answer> Perform(const Call& call);
  absl::StatusOr<std::string> PerformPut(const Call& call);

  const S3Options options_;
  http::Transport* const transport_;
  const Clock* const clock_;
  const Environment environment_;
};

}  // namespace atelier::objects

#endif  // ATELIER_SERVER_OBJECTS_S3_CLIENT_H_
