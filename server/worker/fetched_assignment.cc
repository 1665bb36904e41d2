#include "server/worker/fetched_assignment.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "models/files/durable_file.h"
#include "server/worker/steady_now.h"
#include "spdlog/spdlog.h"

namespace atelier::worker {
namespace {

constexpr std::int64_t kMaxProbe = 4096;
constexpr absl::Duration kLookAgain = absl::Milliseconds(100);
// Files of the server's that are replaced so often while they are fetched are left to another
// attempt.
constexpr int kListings = 5;
// So often the same ones are asked for, within some two minutes.
constexpr int kTriesOfAListing = 20;

absl::Status MakeFolder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) return absl::OkStatus();
  return absl::UnknownError(absl::StrCat("making ", path, ": ", error.message()));
}

// Everything that is fetched for one assignment.
class Fetcher {
 public:
  Fetcher(FileLine* line, const NodeCache& cache, std::string folder)
      : line_(line), cache_(cache), folder_(std::move(folder)) {}

  absl::StatusOr<FetchedAssignment> Fetch(const v1::Assignment& assignment) {
    FetchedAssignment fetched{assignment, std::nullopt};
    v1::Assignment& local = fetched.assignment;
    local.set_attempt_dir(folder_ + "/attempt");
    local.clear_dataset_dir();
    local.clear_dataset_file();
    local.clear_dataset_cache_dir();
    local.clear_earlier_attempt_dirs();
    local.clear_continued_dir();
    if (auto status = MakeFolder(local.attempt_dir()); !status.ok()) return status;
    if (auto status = FetchDataset(assignment, &fetched); !status.ok()) return status;
    if (auto status = FetchArchives(&local); !status.ok()) return status;
    if (auto status = FetchEarlier(assignment, &local); !status.ok()) return status;
    return fetched;
  }

 private:
  // Lists a kind and lets `fetch` bring what is listed. Where that says ABORTED it is listed again:
  // another file may be there by now. UNAVAILABLE if it does not come to an end.
  absl::Status FetchListed(v1::FileKind kind,
                           absl::FunctionRef<absl::Status(const v1::ListFilesResponse&)> fetch) {
    absl::Status status;
    std::string known;
    int listings = 0;
    for (int tries = 0; listings <= kListings && tries < kTriesOfAListing; ++tries) {
      const auto listed = line_->List(kind);
      if (!listed.ok()) return listed.status();
      std::string sums;
      for (const v1::ListedFile& file : listed->files()) absl::StrAppend(&sums, file.sha256(), " ");
      if (sums != known) {
        ++listings;
        tries = 0;
      }
      known = std::move(sums);
      status = fetch(*listed);
      if (!absl::IsAborted(status)) return status;
      spdlog::warn("{} is listed again: {}", v1::FileKind_Name(kind),
                   std::string(status.message()));
      line_->PauseAfter(tries);
    }
    return absl::UnavailableError(status.message());
  }

  // The only file of its kind, wherever `fetch` puts it.
  absl::Status FetchOnly(v1::FileKind kind,
                         absl::FunctionRef<absl::Status(const v1::ListedFile&)> fetch) {
    return FetchListed(kind, [&](const v1::ListFilesResponse& listed) {
      if (listed.files_size() == 1) return fetch(listed.files(0));
      return absl::NotFoundError(
          absl::StrCat("the server has no file of kind ", v1::FileKind_Name(kind)));
    });
  }

  // All files of a kind that has numbers, to `before`<number>`after`. They are not looked into:
  // that is for the job, within its walls.
  absl::Status FetchNumbered(v1::FileKind kind, const std::string& before,
                             const std::string& after) {
    const absl::Status status =
        FetchListed(kind, [&](const v1::ListFilesResponse& listed) -> absl::Status {
          for (const v1::ListedFile& file : listed.files()) {
            const auto fetched = FetchTo(kind, file, absl::StrCat(before, file.number(), after));
            if (!fetched.ok()) return fetched;
          }
          return absl::OkStatus();
        });
    // A listing leaves out what is not there. Work that is on record is not begun anew without it.
    return absl::IsNotFound(status) ? absl::UnavailableError(status.message()) : status;
  }

  absl::Status FetchTo(v1::FileKind kind, const v1::ListedFile& file, const std::string& path) {
    v1::AttemptFile name;
    name.set_kind(kind);
    name.set_number(file.number());
    const absl::Status status = line_->Fetch(name, file, path);
    // Another one by now, or none, or not what was announced.
    if (absl::IsFailedPrecondition(status) || absl::IsDataLoss(status) ||
        absl::IsNotFound(status)) {
      return absl::AbortedError(status.message());
    }
    return status;
  }

  absl::Status FetchDataset(const v1::Assignment& assignment, FetchedAssignment* fetched) {
    if (assignment.dataset_dir().empty() && assignment.dataset_file().empty()) {
      return absl::OkStatus();
    }
    return FetchOnly(v1::FILE_KIND_DATASET, [&](const v1::ListedFile& file) {
      bool came = false;
      auto held = cache_.Get(file.sha256(), file.size_bytes(), [&](const std::string& path) {
        came = true;
        return FetchTo(v1::FILE_KIND_DATASET, file, path);
      });
      if (!held.ok()) return held.status();
      spdlog::info("data set of {} bytes, {}", file.size_bytes(),
                   came ? "fetched from the server" : "from this node's cache");
      fetched->assignment.set_dataset_file(held->path);
      fetched->dataset = *std::move(held);
      return absl::OkStatus();
    });
  }

  absl::StatusOr<std::string> FetchFile(v1::FileKind kind, const char* name) {
    std::string path = absl::StrCat(folder_, "/", name);
    const absl::Status status =
        FetchOnly(kind, [&](const v1::ListedFile& file) { return FetchTo(kind, file, path); });
    if (!status.ok()) return status;
    return path;
  }

  absl::Status FetchArchives(v1::Assignment* local) {
    if (!local->start_archive().empty()) {
      auto path = FetchFile(v1::FILE_KIND_START_ARCHIVE, "start.tar.gz");
      if (!path.ok()) return path.status();
      local->set_start_archive(*std::move(path));
    }
    if (!local->evaluation().archive().empty()) {
      auto path = FetchFile(v1::FILE_KIND_EVALUATION_ARCHIVE, "evaluated.tar.gz");
      if (!path.ok()) return path.status();
      local->mutable_evaluation()->set_archive(*std::move(path));
    }
    if (!local->import().source().empty()) {
      auto path = FetchFile(v1::FILE_KIND_IMPORT_SOURCE, "content");
      if (!path.ok()) return path.status();
      local->mutable_import()->set_source(*std::move(path));
    }
    return absl::OkStatus();
  }

  // What earlier attempts left, and the job that is continued.
  absl::Status FetchEarlier(const v1::Assignment& assignment, v1::Assignment* local) {
    if (assignment.earlier_attempt_dirs_size() > 0 && !assignment.has_import()) {
      const std::string folder = folder_ + "/earlier";
      absl::Status status = MakeFolder(folder);
      if (status.ok() && assignment.has_spec()) {
        status = FetchCheckpoints(v1::FILE_KIND_CHECKPOINT, folder);
      }
      if (status.ok() && assignment.has_check()) {
        status = FetchNumbered(v1::FILE_KIND_FOLD, folder + "/fold-", "");
      }
      if (!status.ok()) return status;
      local->add_earlier_attempt_dirs(folder);
    }
    if (assignment.continued_dir().empty()) return absl::OkStatus();
    local->set_continued_dir(folder_ + "/continued");
    absl::Status status = MakeFolder(local->continued_dir());
    if (status.ok()) {
      status = FetchCheckpoints(v1::FILE_KIND_CONTINUED_CHECKPOINT, local->continued_dir());
    }
    return status;
  }

  // The run takes the newest that is whole.
  absl::Status FetchCheckpoints(v1::FileKind kind, const std::string& folder) {
    return FetchNumbered(kind, folder + "/checkpoint-", ".ckpt");
  }

  FileLine* const line_;
  const NodeCache& cache_;
  const std::string folder_;
};

}  // namespace

bool SeesDataDirectory(const v1::Assignment& assignment, absl::Duration patience) {
  // Of a server that gives no probe all workers see the files.
  if (assignment.probe().empty()) return true;
  for (const absl::Duration end = SteadyNow() + patience;; absl::SleepFor(kLookAgain)) {
    const auto probe = models::ReadWholeFile(assignment.attempt_dir() + "/probe", kMaxProbe);
    if (probe.ok() && *probe == assignment.probe()) return true;
    if (SteadyNow() >= end) return false;
  }
}

absl::StatusOr<FetchedAssignment> FetchAssignment(const v1::Assignment& assignment, FileLine* line,
                                                  const NodeCache& cache,
                                                  const std::string& folder) {
  return Fetcher(line, cache, folder).Fetch(assignment);
}

}  // namespace atelier::worker
