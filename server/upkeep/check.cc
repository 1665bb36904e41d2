#include "server/upkeep/check.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "models/data/dataset_file.h"
#include "server/store/data_directory.h"
#include "server/store/database_check.h"
#include "server/store/folder_artifact_store.h"
#include "server/upkeep/backup_format.h"
#include "server/upkeep/check_orphans.h"
#include "server/upkeep/report.h"
#include "server/upkeep/restore.h"

namespace atelier::upkeep {
namespace {

namespace fs = std::filesystem;
using store::DatabaseCheck;

constexpr char kPutBack[] = "put a copy back, from a backup for instance";

// One check of one directory.
class Check {
 public:
  Check(std::string data_dir, std::unique_ptr<DatabaseCheck> database, Report* report)
      : data_dir_(std::move(data_dir)),
        database_(std::move(database)),
        artifacts_(data_dir_),
        report_(*report) {}

  absl::Status Run() {
    const auto damaged = CheckDatabase();
    if (!damaged.ok()) return damaged.status();
    if (*damaged) {
      report_.Say("The files are not compared with a damaged database.");
      return absl::OkStatus();
    }
    absl::Status status = CheckRows();
    if (status.ok()) status = CheckModels();
    if (status.ok()) status = CheckDatasets();
    if (away_ > 0) {
      report_.Say(absl::StrCat("in the object store alone: ", away_, " files, which are not read"));
    }
    if (status.ok()) status = FindOrphans(data_dir_, database_.get(), &report_);
    if (status.ok()) CheckUploads(data_dir_, &report_);
    return status;
  }

 private:
  // Answers with whether it is damaged, after what was mended.
  absl::StatusOr<bool> CheckDatabase() {
    const int before = report_.left();
    const auto damage = database_->Damage();
    if (!damage.ok()) return damage.status();
    for (const std::string& what : *damage) {
      // Indexes are made of their tables anew; nothing makes a table.
      report_.Problem(absl::StrCat("the database: ", what), "restore a backup",
                      [this] { return MendIndexes(); });
    }
    const auto faults = database_->SchemaFaults();
    if (!faults.ok()) return faults.status();
    for (const DatabaseCheck::SchemaFault& fault : *faults) {
      Report::Mend mend;
      if (!fault.sql.empty()) mend = [this, fault] { return MendSchema(fault); };
      report_.Problem(absl::StrCat("the database: ", fault.what), "restore a backup", mend);
    }
    if (report_.left() > before) return true;
    report_.Say(absl::StrCat("database: sound, schema ", database_->schema()));
    return false;
  }

  absl::StatusOr<std::string> MendIndexes() {
    if (auto status = database_->Reindex(); !status.ok()) return status;
    const auto damage = database_->Damage();
    if (!damage.ok()) return damage.status();
    if (damage->empty()) return std::string("the indexes were made anew");
    return absl::DataLossError("its tables are damaged, which nothing here can mend");
  }

  absl::StatusOr<std::string> MendSchema(const DatabaseCheck::SchemaFault& fault) {
    if (auto status = database_->Execute(fault.sql); !status.ok()) return status;
    return std::string("it was made anew");
  }

  absl::Status CheckRows() {
    auto status =
        database_->FindDamagedJobs([this](const std::string& id, const std::string& fault) {
          report_.Problem(absl::StrCat("the row of job ", id, " ", fault), "restore a backup");
        });
    if (!status.ok()) return status;
    const auto stuck = database_->StuckNotices();
    if (!stuck.ok()) return stuck.status();
    for (const DatabaseCheck::StuckNotice& notice : *stuck) {
      Report::Mend mend;
      if (notice.mendable) mend = [this, &notice] { return Release(notice); };
      report_.Problem(notice.what, "its job is gone, so it cannot be sent", mend);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Release(const DatabaseCheck::StuckNotice& notice) {
    if (auto status = database_->ReleaseNotice(notice.key, absl::Now()); !status.ok()) {
      return status;
    }
    return std::string("the server will send it, with the job as it is");
  }

  absl::Status CheckModels() {
    int sound = 0;
    auto status = database_->ForEachModelVersion(
        [&](const std::string& model, std::int64_t version, const v1::ModelVersion* data) {
          sound += CheckModel(model, version, data) ? 1 : 0;
        });
    if (status.ok()) report_.Say(absl::StrCat("models: ", sound, " versions sound"));
    return status;
  }

  bool CheckModel(const std::string& model, std::int64_t version, const v1::ModelVersion* data) {
    const std::string name = absl::StrCat(model, "@", version);
    if (data == nullptr) {
      report_.Problem(absl::StrCat("the row of model ", name, " cannot be read"),
                      "restore a backup");
      return false;
    }
    const absl::Status there =
        artifacts_.CheckArchive(model, version, data->size_bytes(), data->sha256());
    if (there.ok()) return true;
    if (IsInObjectStore(artifacts_.ArchivePath(model, version))) return false;
    report_.Problem(absl::StrCat("model ", name, ": ", there.message()),
                    absl::StrCat(kPutBack, ", or delete the version with `atelier delete`"));
    return false;
  }

  absl::Status CheckDatasets() {
    int sound = 0;
    auto status = database_->ForEachDatasetVersion(
        [&](const std::string& dataset, std::int64_t version, const v1::Dataset* data) {
          const absl::Status there = DatasetStatus(dataset, version, data);
          sound += there.ok() ? 1 : 0;
          if (there.ok() || IsInObjectStore(artifacts_.DatasetPath(dataset, version))) return;
          report_.Problem(absl::StrCat("data set ", dataset, "@", version, ": ", there.message()),
                          absl::StrCat(kPutBack, ", or delete the version and push it again"));
        });
    if (status.ok()) report_.Say(absl::StrCat("data sets: ", sound, " versions sound"));
    return status;
  }

  absl::Status DatasetStatus(const std::string& dataset, std::int64_t version,
                             const v1::Dataset* data) {
    if (data == nullptr) return absl::DataLossError("its row cannot be read");
    const auto file = models::DatasetFile::Open(artifacts_.DatasetPath(dataset, version));
    if (!file.ok()) return file.status();
    if (file->summary().checksum != data->checksum()) {
      return absl::DataLossError("its file is another one than was stored");
    }
    return file->Verify(nullptr);
  }

  // A file that is missing here, since it comes back from there.
  bool IsInObjectStore(const std::string& path) {
    std::error_code error;
    if (fs::exists(path, error)) return false;
    const auto stored = database_->HasObject(fs::path(path).lexically_relative(data_dir_).string());
    if (!stored.ok() || !*stored) return false;
    ++away_;
    return true;
  }

  const std::string data_dir_;
  const std::unique_ptr<DatabaseCheck> database_;
  int away_ = 0;  // Files that are in an object store alone.
  store::FolderArtifactStore artifacts_;
  Report& report_;
};

absl::Status CheckIsDataDirectory(const std::string& data_dir) {
  if (auto status = CheckRestored(data_dir); !status.ok()) return status;
  std::error_code error;
  if (fs::exists(fs::path(data_dir) / kDatabaseName, error)) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat(data_dir, " is no data directory: it has no ",
                                          kDatabaseName, "; name one with --data_dir."));
}

std::string Conclusion(const Report& report, bool repair) {
  if (report.problems() == 0) return "The data directory is sound.";
  if (report.left() == 0) return absl::StrCat("All ", report.problems(), " problems are mended.");
  return absl::StrCat(report.left(), " of ", report.problems(), " problems remain",
                      !repair && report.mendable() > 0
                          ? absl::StrCat("; --repair mends ", report.mendable(), " of them")
                          : std::string(),
                      ".");
}

}  // namespace

absl::StatusOr<bool> CheckDataDirectory(const CheckOptions& options) {
  if (auto status = CheckIsDataDirectory(options.data_dir); !status.ok()) return status;
  auto directory = store::DataDirectory::Open(options.data_dir);
  if (!directory.ok()) return directory.status();
  auto database = DatabaseCheck::Open((*directory)->database_path());
  if (!database.ok()) return database.status();
  Report report(options.repair, options.print);
  const absl::Status status = Check((*directory)->path(), *std::move(database), &report).Run();
  if (!status.ok()) return status;
  report.Say(Conclusion(report, options.repair));
  return report.left() == 0;
}

}  // namespace atelier::upkeep
