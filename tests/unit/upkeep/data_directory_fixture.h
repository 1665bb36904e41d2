// A data directory with a job, a version of a model, and what belongs to them; no server.
#ifndef ATELIER_TESTS_UNIT_UPKEEP_DATA_DIRECTORY_FIXTURE_H_
#define ATELIER_TESTS_UNIT_UPKEEP_DATA_DIRECTORY_FIXTURE_H_

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "models/files/sha256.h"
#include "server/store/sqlite_store.h"
#include "server/upkeep/check.h"
#include "tests/unit/store/records.h"
#include "tests/unit/store/temporary_folder.h"

namespace atelier::upkeep {

class DataDirectoryTest : public testing::Test {
 protected:
  DataDirectoryTest() {
    Open();
    jobs::JobUpdate update;
    update.record = store::MakeRecord("job");
    update.record.token = "secret";
    update.record.handle = "process 7";
    EXPECT_TRUE(store_->Insert(update.record, {}).ok());
    v1::ModelVersion version = store::MakeVersion("model", *store_->ReserveVersion("model"));
    version.set_size_bytes(static_cast<std::int64_t>(kArchive.size()));
    version.set_sha256(models::Sha256Of(kArchive));
    update.model_version = version;
    EXPECT_TRUE(store_->Commit(update).ok());
    Write("models/model/1/model.tar.gz", kArchive);
    Write("jobs/job/attempts/1/worker.log", "a log\n");
    Write("jobs/job/attempts/1/checkpoint-7.ckpt", "a checkpoint");
  }

  void Open() {
    auto opened = store::SqliteStore::Open(data_dir_ + "/atelier.db");
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
  }

  void Write(const std::string& path, const std::string& content) {
    store::WriteFile(data_dir_ + "/" + path, content);
  }
  std::string Read(const std::string& path) const {
    return store::ReadFile(data_dir_ + "/" + path);
  }
  bool Exists(const std::string& path) const {
    return std::filesystem::exists(data_dir_ + "/" + path);
  }

  // Whether the directory is sound, and the report.
  std::pair<bool, std::string> Check(bool repair = false) { return CheckIn(data_dir_, repair); }
  std::pair<bool, std::string> CheckIn(const std::string& data_dir, bool repair = false) {
    store_.reset();
    std::vector<std::string> lines;
    const auto sound = CheckDataDirectory(
        {.data_dir = data_dir, .repair = repair, .print = [&](const std::string& line) {
           lines.push_back(line);
         }});
    if (!sound.ok()) lines.emplace_back(sound.status().message());
    return {sound.ok() && *sound, absl::StrJoin(lines, "\n")};
  }

  const std::string kArchive = std::string(300'000, 'm');
  store::TemporaryFolder folder_;
  const std::string data_dir_ = [this] {
    std::filesystem::create_directories(folder_ / "data");
    return folder_ / "data";
  }();
  std::unique_ptr<store::SqliteStore> store_;
};

}  // namespace atelier::upkeep

#endif  // ATELIER_TESTS_UNIT_UPKEEP_DATA_DIRECTORY_FIXTURE_H_
