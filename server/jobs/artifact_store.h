// The files that outlive a job: attempts' folders, published model archives and data sets, uploads.
// A folder, reachable from wherever workers run; an object store may keep what is in it beyond the
// folder's disk, and be the only one to have some of it.
#ifndef ATELIER_SERVER_JOBS_ARTIFACT_STORE_H_
#define ATELIER_SERVER_JOBS_ARTIFACT_STORE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/jobs/resource_names.h"

namespace atelier::jobs {

// What an attempt made, to be kept as a version of a model or of a data set.
struct Publication {
  enum class Kind { kModel, kDataset };

  std::string job_id;
  int attempt = 1;
  std::string archive;          // Relative to the attempt's folder, within it.
  std::int64_t size_bytes = 0;  // What the archive must have.
  Kind kind = Kind::kModel;
  std::string name;  // Of the model or the data set.
  std::int64_t version = 1;
};

// The file of an upload's bytes in its folder.
inline constexpr char kUploadContent[] = "content";

// Thread-safe; calls wait for the disk. Paths are absolute. Ids and names must have been checked.
class ArtifactStore {
 public:
  virtual ~ArtifactStore() = default;

  // The only folder an attempt writes to. Not made by this call.
  virtual std::string AttemptDir(absl::string_view job_id, int attempt) const = 0;

  // Makes that folder; it and the folders above it are durable when this answers, so that what the
  // worker makes durable within it can be found again.
  virtual absl::Status MakeAttemptDir(absl::string_view job_id, int attempt) = 0;

  // What the file `probe` in that folder holds, which is made if it is not there: something random,
  // by which a worker tells whether it sees this folder. Empty if there is no such file.
  virtual absl::StatusOr<std::string> Probe(absl::string_view /*job_id*/, int /*attempt*/) {
    return "";
  }

  // Frees what attempts before this one left but their logs: its own checkpoint is durable. Nothing
  // to free is no error.
  virtual absl::Status FreeAttemptsBefore(absl::string_view job_id, int attempt) = 0;

  // The folder in which workers keep data sets unpacked, for each other; empty if there is none.
  // Not made by this call.
  virtual std::string DatasetCacheDir() const { return ""; }

  // Where an attempt's worker writes its log.
  virtual std::string LogPath(absl::string_view job_id, int attempt) const = 0;

  // The folder of a job's TensorBoard log. Not made by this call.
  virtual std::string TensorboardDir(absl::string_view job_id) const = 0;

  // Where a published version's archive is.
  virtual std::string ArchivePath(absl::string_view model, std::int64_t version) const = 0;

  // Where a published data set's file is.
  virtual std::string DatasetPath(absl::string_view dataset, std::int64_t version) const = 0;

  // Whether files may be kept elsewhere too, from where the next two calls bring them.
  virtual bool KeepsElsewhere() const { return false; }

  // Whether a file that one of the calls above names lies there, to be opened soon: true also if
  // nobody can bring it back, which its reader will notice. False while it is brought back from
  // where else it is kept, which this call begins: ask again. UNAVAILABLE with a sentence if that
  // failed just now. Never waits for a network.
  virtual absl::StatusOr<bool> Bring(const std::string& /*path*/) { return true; }

  // The same, but waits until the file is there.
  virtual absl::Status Fetch(const std::string& /*path*/) { return absl::OkStatus(); }

  // Where a publication is kept beyond the folder, such as `s3://bucket/prefix/job/output/…`; empty
  // if it is not.
  virtual std::string UriOf(const Publication& /*publication*/) const { return ""; }

  // The server stops: what waits for a network ends soon.
  virtual void Stop() {}

  // The folder with a folder for each upload. Not made by this call.
  virtual std::string UploadsDir() const = 0;

  // Copies a model's archive, or moves a data set's file, to its version's place; durable when it
  // answers, never seen half written. Doing it again does no harm. NOT_FOUND if there is no
  // archive, DATA_LOSS if it has another size.
  virtual absl::Status Publish(const Publication& publication) = 0;

  // Frees what only a running job needs (checkpoints, the archive's first copy); logs stay, and so
  // does the job's last checkpoint until enough newer jobs have left theirs. Nothing to free is no
  // error.
  virtual absl::Status FreeJob(absl::string_view job_id) = 0;

  // Whether the last checkpoint of an ended job is kept.
  virtual bool HasCheckpoint(absl::string_view job_id) = 0;

  // Puts that checkpoint where a new job looks for what it continues: the folder of attempt 0.
  // Durable when it answers, and from then on the new job's own. NOT_FOUND if none is kept,
  // ALREADY_EXISTS if the new job has files.
  virtual absl::Status HandCheckpoint(absl::string_view ended_id, absl::string_view new_id) = 0;

  // Reads a version's archive. NOT_FOUND if there is none, DATA_LOSS if it has another size or
  // another SHA-256 (64 lower-case hexadecimal digits).
  virtual absl::Status CheckArchive(absl::string_view model, std::int64_t version,
                                    std::int64_t size_bytes, absl::string_view sha256) = 0;

  // Removes all files of a job, its last checkpoint too; its model stays. Nothing there is no
  // error.
  virtual absl::Status RemoveJob(absl::string_view job_id) = 0;

  // Removes a version's files. Nothing there is no error.
  virtual absl::Status RemoveVersion(absl::string_view model, std::int64_t version) = 0;
  virtual absl::Status RemoveDataset(absl::string_view dataset, std::int64_t version) = 0;

  // Removes the files of all data sets' versions but these.
  virtual absl::Status RemoveDatasetsBut(const std::vector<DatasetReference>& kept) = 0;
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_ARTIFACT_STORE_H_
