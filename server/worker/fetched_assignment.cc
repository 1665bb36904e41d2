#include "server/worker/fetched_assignment.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "models/files/durable_file.h"
#include "models/training/checkpoint.h"
#include "spdlog/spdlog.h"

namespace atelier::worker {
namespace {

constexpr std::int64_t kMaxProbe = 4096;
constexpr absl::Duration kLookAgain = absl::Milliseconds(100);
// A file of the server's that is replaced so often while it is fetched is no data set.
constexpr int kListings = 5;

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
  // The only file of its kind, wherever `fetch` puts it.
  absl::Status FetchOnly(v1::FileKind kind,
                         absl::FunctionRef<absl::Status(const v1::ListedFile&)> fetch) {
    absl::Status status;
    for (int tries = 0; tries < kListings; ++tries) {
      const auto listed = line_->List(kind);
      if (!listed.ok()) return listed.status();
      if (listed->files_size() != 1) {
        return absl::NotFoundError(
            absl::StrCat("the server has no file of kind ", v1::FileKind_Name(kind)));
      }
      status = fetch(listed->files(0));
      if (!absl::IsAborted(status)) return status;
    }
    return absl::NotFoundError(status.message());
  }

  absl::Status FetchTo(v1::FileKind kind, const v1::ListedFile& file, const std::string& path) {
    v1::AttemptFile name;
    name.set_kind(kind);
    name.set_number(file.number());
    const absl::Status status = line_->Fetch(name, file, path);
    // Another one by now, or not what was announced.
    if (absl::IsFailedPrecondition(status) || absl::IsDataLoss(status)) {
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
        status = FetchCheckpoint(v1::FILE_KIND_CHECKPOINT, folder);
      }
      if (status.ok() && assignment.has_check()) status = FetchFolds(folder);
      if (!status.ok()) return status;
      local->add_earlier_attempt_dirs(folder);
    }
    if (assignment.continued_dir().empty()) return absl::OkStatus();
    local->set_continued_dir(folder_ + "/continued");
    absl::Status status = MakeFolder(local->continued_dir());
    if (status.ok()) {
      status = FetchCheckpoint(v1::FILE_KIND_CONTINUED_CHECKPOINT, local->continued_dir());
    }
    return status;
  }

  // The newest one that is whole.
  absl::Status FetchCheckpoint(v1::FileKind kind, const std::string& folder) {
    const auto listed = line_->List(kind);
    if (!listed.ok()) return listed.status();
    for (const v1::ListedFile& file : listed->files()) {
      const std::string path = absl::StrCat(folder, "/checkpoint-", file.number(), ".ckpt");
      const absl::Status status = FetchTo(kind, file, path);
      if (status.ok() && models::ReadCheckpoint(path).ok()) return status;
      if (!status.ok() && !absl::IsAborted(status)) return status;
      spdlog::warn("checkpoint {} is damaged", file.number());
      unlink(path.c_str());
    }
    return absl::OkStatus();
  }

  absl::Status FetchFolds(const std::string& folder) {
    const auto listed = line_->List(v1::FILE_KIND_FOLD);
    if (!listed.ok()) return listed.status();
    for (const v1::ListedFile& file : listed->files()) {
      const absl::Status status =
          FetchTo(v1::FILE_KIND_FOLD, file, absl::StrCat(folder, "/fold-", file.number()));
      // One that is missing is guessed again.
      if (!status.ok() && !absl::IsAborted(status)) return status;
    }
    return absl::OkStatus();
  }

  FileLine* const line_;
  const NodeCache& cache_;
  const std::string folder_;
};

}  // namespace

bool SeesDataDirectory(const v1::Assignment& assignment, absl::Duration patience) {
  // Of a server that gives no probe all workers see the files.
  if (assignment.probe().empty()) return true;
  for (const absl::Time end = absl::Now() + patience;; absl::SleepFor(kLookAgain)) {
    const auto probe = models::ReadWholeFile(assignment.attempt_dir() + "/probe", kMaxProbe);
    if (probe.ok() && *probe == assignment.probe()) return true;
    if (absl::Now() >= end) return false;
  }
}

absl::StatusOr<FetchedAssignment> FetchAssignment(const v1::Assignment& assignment, FileLine* line,
                                                  const NodeCache& cache,
                                                  const std::string& folder) {
  return Fetcher(line, cache, folder).Fetch(assignment);
}

}  // namespace atelier::worker
