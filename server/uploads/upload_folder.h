// Uploads: files that clients send in pieces and whenever they can, until all of it is there. Each
// has a folder named by its id, with what was announced (upload.pb) and the bytes (content), so
// uploads outlive the server. An id is made of the data set's name and the content, so that who
// sends the same again continues. Nothing of a client's names is part of a path.
#ifndef ATELIER_SERVER_UPLOADS_UPLOAD_FOLDER_H_
#define ATELIER_SERVER_UPLOADS_UPLOAD_FOLDER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "atelier/v1/dataset_service.pb.h"
#include "atelier/v1/job.pb.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"
#include "server/jobs/job_observer.h"

namespace atelier::uploads {

class UploadWriter;

// Thread-safe; calls wait for the disk, Stored aside. Locks: disk_mutex_, then mutex_. Errors carry
// a reason: UPLOAD_NOT_FOUND, UPLOAD_BUSY, UPLOAD_IN_USE, UPLOAD_INCOMPLETE, WRONG_CHECKSUM,
// WRONG_OFFSET, DATASET_SPACE, TOO_MANY_UPLOADS, DISK_FULL.
class UploadFolder final : public jobs::JobObserver {
 public:
  struct Options {
    std::string folder;  // Made if it is missing.
    // Bytes that uploads, each counted with its announced size, and data sets may have together.
    std::int64_t space = INT64_MAX;
    std::size_t max_uploads = 100;
    absl::Duration idle = absl::Hours(24);  // Uploads that were not used for this long are deleted.
    std::function<void(const std::string&)> log;  // Told one sentence of each failure in Tick.
  };

  // Takes over what an earlier server left. `clock` must live as long.
  static absl::StatusOr<std::unique_ptr<UploadFolder>> Open(Options options, const Clock* clock);

  // The id of an upload of these bytes for a data set; each creator has its own.
  static std::string IdOf(absl::string_view dataset, std::int64_t size_bytes,
                          absl::string_view sha256, absl::string_view creator);

  // The upload that has data set, size, SHA-256, source name and creator of `wanted`, which must
  // have been checked: a new one, or the one that there is. `taken` is what data sets have.
  // RESOURCE_EXHAUSTED (DATASET_SPACE, TOO_MANY_UPLOADS).
  absl::StatusOr<v1::Upload> Create(v1::Upload wanted, std::int64_t taken);

  // NOT_FOUND (UPLOAD_NOT_FOUND), as of all that follow.
  absl::StatusOr<v1::Upload> Get(const std::string& id);

  // What `start` answers, which makes a job of the upload and is called if all of it is there and
  // has its SHA-256. The upload stays until then, and for the job from then on. FAILED_PRECONDITION
  // (UPLOAD_INCOMPLETE), DATA_LOSS (WRONG_CHECKSUM), ABORTED (UPLOAD_BUSY).
  using StartImport = absl::FunctionRef<absl::StatusOr<v1::TrainingJob>(const v1::Upload&)>;
  absl::StatusOr<v1::TrainingJob> Import(const std::string& id, StartImport start);

  // Announced bytes of a creator's uploads, but not of the one with this id.
  std::int64_t BytesOf(absl::string_view creator, const std::string& but_id) const;

  // FAILED_PRECONDITION (UPLOAD_IN_USE) while a job imports it or a call writes to it.
  absl::Status Remove(const std::string& id);

  // To write from `offset` on, which must be received_bytes: OUT_OF_RANGE (WRONG_OFFSET). ABORTED
  // (UPLOAD_BUSY) while another writer lives. The writer must not outlive the folder.
  absl::StatusOr<std::unique_ptr<UploadWriter>> OpenWriter(const std::string& id,
                                                           std::int64_t offset);

  // Removes what was imported and what was not used for long. Answers with how long until it has to
  // be called again, unless kicked before.
  absl::Duration Tick();
  // `kick` is called whenever Tick may have something to do at once.
  void SetKick(std::function<void()> kick);

  // jobs::JobObserver: which uploads are being imported, and which were.
  void Stored(const jobs::JobRecord& record, const std::vector<v1::JobEvent>& events) override;

 private:
  friend class UploadWriter;

  struct Digest;
  struct Entry {
    v1::Upload upload;               // received_bytes is what is durable.
    absl::Duration used;             // When, by the clock that is not set.
    bool claimed = false;            // By a writer or a check.
    bool verified = false;           // Complete, and its SHA-256 is as announced.
    bool imported = false;           // To be removed.
    int starting = 0;                // Calls of Import.
    std::set<std::string> jobs;      // That import it.
    std::shared_ptr<Digest> digest;  // Belongs to who has claimed the entry.

    // It must stay.
    bool IsUsed() const { return claimed || starting > 0 || !jobs.empty(); }
  };

  UploadFolder(Options options, const Clock* clock);
  absl::Status TakeOver();
  std::string PathOf(absl::string_view id) const;
  // The entry, claimed.
  absl::StatusOr<std::shared_ptr<Entry>> Claim(const std::string& id);
  void Unclaim(Entry* entry);
  // The upload if all of it is there and has its SHA-256.
  absl::StatusOr<v1::Upload> Complete(const std::string& id);
  // `claimed` is complete: compares its SHA-256.
  absl::Status Verify(const std::string& id, Entry* claimed, int descriptor);
  absl::Status CheckRoom(const v1::Upload& wanted, std::int64_t taken) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The ids of what Tick has to remove; they are forgotten.
  std::vector<std::string> TakeOutdated();

  const Options options_;
  const Clock* const clock_;
  Mutex disk_mutex_;  // Whoever makes or removes an upload's folder.
  mutable Mutex mutex_;
  std::map<std::string, std::shared_ptr<Entry>> entries_ ABSL_GUARDED_BY(mutex_);  // By id.
  std::function<void()> kick_ ABSL_GUARDED_BY(mutex_);
};

// Writes pieces to one upload, in order. Not thread-safe. What was written stays when it goes.
class UploadWriter {
 public:
  ~UploadWriter();
  UploadWriter(const UploadWriter&) = delete;
  UploadWriter& operator=(const UploadWriter&) = delete;

  // Bytes of a piece at most.
  static constexpr std::size_t kMaxPiece = std::size_t{256} << 10;

  // OUT_OF_RANGE (WRONG_OFFSET) if `offset` is not where the last piece ended; INVALID_ARGUMENT for
  // a piece that is empty, too large or more than was announced; RESOURCE_EXHAUSTED (DISK_FULL).
  absl::Status Write(std::int64_t offset, absl::string_view piece);

  // What was written is durable, and a complete upload has its SHA-256: DATA_LOSS (WRONG_CHECKSUM)
  // otherwise, and nothing of it is kept.
  absl::StatusOr<v1::Upload> Finish();

 private:
  friend class UploadFolder;

  UploadWriter(UploadFolder* folder, std::string id, std::shared_ptr<UploadFolder::Entry> entry,
               int descriptor);
  absl::Status Sync();
  void BeginSync();

  UploadFolder* const folder_;
  const std::string id_;
  const std::shared_ptr<UploadFolder::Entry> entry_;
  const int descriptor_;
  const std::int64_t size_;
  std::int64_t position_;
  std::int64_t durable_;
  std::int64_t begun_;  // What the disk was asked to write ends here.
};

}  // namespace atelier::uploads

#endif  // ATELIER_SERVER_UPLOADS_UPLOAD_FOLDER_H_
