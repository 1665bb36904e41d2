// A registry that a server publishes in an S3-compatible store, and the archives there: this only
// reads them. Archives are kept in a folder, called by their checksums; those that were used
// longest ago go.
#ifndef ATELIER_SERVER_OBJECTS_OBJECT_REGISTRY_H_
#define ATELIER_SERVER_OBJECTS_OBJECT_REGISTRY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"
#include "server/http/http_transport.h"
#include "server/objects/aws_credentials.h"
#include "server/objects/object_observer.h"
#include "server/objects/s3_client.h"
#include "server/objects/s3_options.h"
#include "server/registry/registry_place.h"

namespace atelier::objects {

class ObjectRegistry final : public registry::RegistryPlace {
 public:
  struct Options {
    S3Options s3;
    std::string folder;            // Absolute; made when it is needed, nobody else uses it.
    std::int64_t cache_bytes = 0;  // Of archives; the one in use may be larger.
    Environment environment = &ProcessEnvironment;
  };

  // The last two must live as long.
  ObjectRegistry(Options options, std::unique_ptr<http::Transport> transport, const Clock* clock,
                 ObjectObserver* observer)
      : options_(std::move(options)),
        transport_(std::move(transport)),
        client_(options_.s3, transport_.get(), clock, options_.environment),
        clock_(clock),
        observer_(observer) {}

  std::string Name() const override { return options_.s3.Location(); }
  absl::StatusOr<std::optional<std::string>> Read() override;
  std::string ArchivePath(absl::string_view model, const v1::ModelVersion& version) const override;
  bool fetches() const override { return true; }
  // One at a time.
  absl::Status Fetch(absl::string_view model, const v1::ModelVersion& version) override;
  void Stop() override { transport_->Stop(); }

 private:
  // Writes an object's bytes to the file, which appears once their checksum is right.
  absl::Status Download(const v1::ModelVersion& version, const std::string& path);
  void Trim(const std::string& kept) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const std::unique_ptr<http::Transport> transport_;
  S3Client client_;
  const Clock* const clock_;
  ObjectObserver* const observer_;

  std::string etag_;  // Of what was read last; the reading thread's.

  Mutex mutex_;
  // When each file was asked for last; since the start.
  absl::flat_hash_map<std::string, absl::Time> used_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace atelier::objects

#endif  // ATELIER_SERVER_OBJECTS_OBJECT_REGISTRY_H_
