#include <gtest/gtest.h>

#include "server/jobs/error.h"
#include "server/store/sqlite_store.h"
#include "tests/unit/store/records.h"
#include "tests/unit/store/temporary_folder.h"

namespace atelier::store {
namespace {

using jobs::ReasonOf;

class SqliteModelStoreTest : public testing::Test {
 protected:
  SqliteModelStoreTest() {
    store_ = *SqliteStore::Open(folder_ / "atelier.db");
    record_ = MakeRecord("job");
    record_.sequence = *store_->Insert(record_, {});
  }

  // Makes the next version of a model, as the end of a job does.
  std::int64_t Add(const std::string& model, bool stopped_early = false) {
    auto version = store_->ReserveVersion(model);
    EXPECT_TRUE(version.ok()) << version.status();
    jobs::JobUpdate update;
    update.record = record_;
    update.model_version = MakeVersion(model, *version, stopped_early);
    EXPECT_TRUE(store_->Commit(update).ok());
    return *version;
  }
  // The next version of model `a`, made by a job, with so many classes and an image of so many
  // rows.
  std::int64_t AddKind(int classes, int rows, const std::string& job = "jobs/job") {
    v1::ModelVersion version = MakeVersion("a", *store_->ReserveVersion("a"));
    version.set_job(job);
    for (int i = 0; i < classes; ++i) version.add_class_names(absl::StrCat("class ", i));
    version.mutable_image_shape()->set_height(rows);
    jobs::JobUpdate update;
    update.record = record_;
    update.model_version = version;
    verdict_ = *store_->JudgeLatest(version);
    EXPECT_TRUE(store_->Commit(update).ok());
    return version.version();
  }
  std::int64_t Latest() { return store_->ResolveVersion("a", "latest")->version(); }
  // The aliases as "name=version name=version".
  static std::string Aliases(const v1::Model& model) {
    std::string text;
    for (const auto& alias : model.aliases()) {
      absl::StrAppend(&text, text.empty() ? "" : " ", alias.alias(), "=", alias.version());
    }
    return text;
  }

  TemporaryFolder folder_;
  std::unique_ptr<SqliteStore> store_;
  jobs::JobRecord record_;
  jobs::LatestVerdict verdict_;  // Of the last AddKind.
};

TEST_F(SqliteModelStoreTest, VersionsCountPerModel) {
  EXPECT_EQ(Add("a"), 1);
  EXPECT_EQ(Add("a"), 2);
  EXPECT_EQ(Add("b"), 1);
  auto model = store_->GetModel("a", 1000, "");
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->name(), "models/a");
  EXPECT_EQ(model->version_count(), 2);
  ASSERT_EQ(model->versions_size(), 2);
  EXPECT_EQ(model->versions(0).version(), 2);
  EXPECT_EQ(Aliases(*model), "latest=2");
}

TEST_F(SqliteModelStoreTest, VersionsComeInPages) {
  for (int i = 0; i < 5; ++i) Add("a");
  Add("b");
  std::vector<std::int64_t> versions;
  std::string token;
  int pages = 0;
  do {
    const auto model = store_->GetModel("a", 2, token);
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_EQ(model->version_count(), 5);
    EXPECT_EQ(Aliases(*model), "latest=5");
    for (const auto& version : model->versions()) versions.push_back(version.version());
    token = model->next_page_token();
    EXPECT_FALSE(++pages < 3 && store_->GetModel("b", 2, token).ok()) << "another model's token";
  } while (!token.empty());
  EXPECT_EQ(versions, (std::vector<std::int64_t>{5, 4, 3, 2, 1}));
  EXPECT_EQ(pages, 3);
}

TEST_F(SqliteModelStoreTest, PagesStayBelowWhatClientsAccept) {
  const auto big = [&](const std::string& model) {
    jobs::JobUpdate update;
    update.record = record_;
    update.model_version = MakeVersion(model, *store_->ReserveVersion(model), false);
    update.model_version->mutable_result()->add_warnings(std::string(1 << 20, 'x'));
    EXPECT_TRUE(store_->Commit(update).ok());
  };
  for (int i = 0; i < 5; ++i) big("a");
  const auto model = store_->GetModel("a", 1000, "");
  EXPECT_EQ(model->versions_size(), 2);
  EXPECT_EQ(store_->GetModel("a", 1000, model->next_page_token())->versions(0).version(), 3);
  EXPECT_EQ(store_->SetAlias("a", "production", 1, /*force=*/false, {})->versions_size(), 2);
  for (const char* name : {"b", "c", "d"}) big(name);
  const auto models = store_->ListModels(1000, "");
  ASSERT_EQ(models->models_size(), 2);
  EXPECT_EQ(store_->ListModels(1000, models->next_page_token())->models(0).name(), "models/c");
}

TEST_F(SqliteModelStoreTest, NumbersAreNeverGivenTwice) {
  Add("a");
  Add("a");
  ASSERT_TRUE(store_->DeleteVersion("a", 2, false).ok());
  EXPECT_EQ(Add("a"), 3);
  ASSERT_TRUE(store_->DeleteModel("a", false).ok());
  EXPECT_EQ(Add("a"), 4);
  EXPECT_EQ(*store_->ReserveVersion("a"), 5);  // Left unused.
  EXPECT_EQ(Add("a"), 6);
}

TEST_F(SqliteModelStoreTest, ReservedNumberAloneMakesNoModel) {
  ASSERT_TRUE(store_->ReserveVersion("a").ok());
  EXPECT_EQ(ReasonOf(store_->GetModel("a", 1000, "").status()), "MODEL_NOT_FOUND");
  EXPECT_EQ(store_->ListModels(10, "")->models_size(), 0);
}

TEST_F(SqliteModelStoreTest, LatestMovesToNoOtherClassesAndNoOtherImages) {
  AddKind(10, 28);
  EXPECT_TRUE(verdict_.moves);
  AddKind(47, 28);
  EXPECT_FALSE(verdict_.moves);
  EXPECT_TRUE(verdict_.other_kind);
  EXPECT_EQ(verdict_.latest, 1);
  EXPECT_EQ(verdict_.why, "it has 47 classes instead of 10");
  AddKind(10, 32);
  EXPECT_EQ(verdict_.why, "its images are 0×32×0 instead of 0×28×0");
  EXPECT_EQ(Latest(), 1);
  const std::int64_t added = AddKind(10, 28);
  EXPECT_EQ(Latest(), added);
}

TEST_F(SqliteModelStoreTest, AModelWithoutALatestTakesTheFirstThatComes) {
  AddKind(10, 28);
  AddKind(47, 28);
  ASSERT_TRUE(store_->DeleteVersion("a", 1, false).ok());
  EXPECT_EQ(ReasonOf(store_->ResolveVersion("a", "latest").status()), "NO_LATEST_VERSION");
  const std::int64_t added = AddKind(47, 28);
  EXPECT_EQ(Latest(), added);
}

TEST_F(SqliteModelStoreTest, ADivergedTrainingDoesNotMoveLatest) {
  Add("a");
  v1::ModelVersion version = MakeVersion("a", *store_->ReserveVersion("a"));
  version.mutable_result()->set_diverged(true);
  EXPECT_FALSE(store_->JudgeLatest(version)->moves);
}

TEST_F(SqliteModelStoreTest, RunsOfAnExperimentDoNotMoveLatest) {
  jobs::ExperimentRecord experiment;
  experiment.id = "sweep";
  std::vector<jobs::RunRecord> runs(2);
  for (int i = 0; i < 2; ++i) {
    runs[i].run.set_index(i);
    runs[i].request_id = absl::StrCat("run-", i);
  }
  ASSERT_TRUE(store_->InsertExperiment(experiment, runs).ok());
  for (int i = 0; i < 2; ++i) {
    jobs::JobRecord job = MakeRecord(absl::StrCat("sweep-", i));
    job.request_id = runs[i].request_id;
    ASSERT_TRUE(store_->Insert(job, {}).ok());
  }
  AddKind(10, 28, "jobs/sweep-0");
  EXPECT_TRUE(verdict_.moves) << "the first version of a model is its latest in any case";
  AddKind(10, 28, "jobs/sweep-1");
  EXPECT_FALSE(verdict_.moves);
  EXPECT_FALSE(verdict_.other_kind);
  EXPECT_EQ(verdict_.why, "it is a run of an experiment");
  EXPECT_EQ(Latest(), 1);
  const std::int64_t added = AddKind(10, 28, "jobs/job");
  EXPECT_EQ(Latest(), added);
}

TEST_F(SqliteModelStoreTest, AnAliasMovesToOtherClassesOnlyByForce) {
  AddKind(10, 28);
  AddKind(10, 28);
  AddKind(10, 32);
  ASSERT_TRUE(store_->SetAlias("a", "production", 1, /*force=*/false, {}).ok());
  EXPECT_TRUE(store_->SetAlias("a", "production", 2, /*force=*/false, {}).ok());
  const auto refused = store_->SetAlias("a", "production", 3, /*force=*/false, {});
  EXPECT_EQ(ReasonOf(refused.status()), "OTHER_CLASSES");
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(refused.status().message().find("its images are 0×32×0 instead of 0×28×0"),
            std::string::npos);
  EXPECT_EQ(store_->ResolveVersion("a", "production")->version(), 2);
  ASSERT_TRUE(store_->SetAlias("a", "production", 3, /*force=*/true, {}).ok());
  EXPECT_EQ(store_->ResolveVersion("a", "production")->version(), 3);
}

TEST_F(SqliteModelStoreTest, ResolvesNumbersAliasesAndLatest) {
  Add("a");
  Add("a");
  ASSERT_TRUE(store_->SetAlias("a", "production", 1, /*force=*/false, {}).ok());
  EXPECT_EQ(store_->ResolveVersion("a", "1")->version(), 1);
  EXPECT_EQ(store_->ResolveVersion("a", "production")->version(), 1);
  EXPECT_EQ(store_->ResolveVersion("a", "latest")->version(), 2);
  EXPECT_EQ(store_->ResolveVersion("a", "")->version(), 2);
  EXPECT_EQ(ReasonOf(store_->ResolveVersion("none", "1").status()), "MODEL_NOT_FOUND");
  EXPECT_EQ(ReasonOf(store_->ResolveVersion("a", "3").status()), "VERSION_NOT_FOUND");
  EXPECT_EQ(ReasonOf(store_->ResolveVersion("a", "canary").status()), "ALIAS_NOT_FOUND");
  EXPECT_EQ(ReasonOf(store_->ResolveVersion("a", "99999999999999999999").status()),
            "ALIAS_NOT_FOUND");
}

TEST_F(SqliteModelStoreTest, LatestSkipsVersionsStoppedEarlyAndMovesBack) {
  Add("a", /*stopped_early=*/true);
  EXPECT_EQ(ReasonOf(store_->ResolveVersion("a", "latest").status()), "NO_LATEST_VERSION");
  EXPECT_EQ(Aliases(*store_->GetModel("a", 1000, "")), "");
  Add("a");
  Add("a");
  Add("a", /*stopped_early=*/true);
  EXPECT_EQ(store_->ResolveVersion("a", "latest")->version(), 3);
  ASSERT_TRUE(store_->DeleteVersion("a", 3, false).ok());
  EXPECT_EQ(store_->ResolveVersion("a", "latest")->version(), 2);
}

TEST_F(SqliteModelStoreTest, LatestSkipsVersionsOfDivergedTrainings) {
  Add("a");
  const auto version = store_->ReserveVersion("a");
  ASSERT_TRUE(version.ok()) << version.status();
  jobs::JobUpdate update;
  update.record = record_;
  update.model_version = MakeVersion("a", *version);
  update.model_version->mutable_result()->set_diverged(true);
  ASSERT_TRUE(store_->Commit(update).ok());
  EXPECT_EQ(store_->ResolveVersion("a", "latest")->version(), 1);
}

TEST_F(SqliteModelStoreTest, AliasMovesAndGoes) {
  Add("a");
  Add("a");
  ASSERT_TRUE(store_->SetAlias("a", "production", 1, /*force=*/false, {}).ok());
  EXPECT_EQ(Aliases(*store_->SetAlias("a", "production", 2, /*force=*/false, {})),
            "latest=2 production=2");
  EXPECT_EQ(Aliases(*store_->SetAlias("a", "beta", 1, /*force=*/false, {})),
            "beta=1 latest=2 production=2");
  EXPECT_EQ(Aliases(*store_->SetAlias("a", "production", 0, /*force=*/false, {})),
            "beta=1 latest=2");
  EXPECT_EQ(ReasonOf(store_->SetAlias("a", "production", 0, /*force=*/false, {}).status()),
            "ALIAS_NOT_FOUND");
  EXPECT_EQ(ReasonOf(store_->SetAlias("a", "production", 9, /*force=*/false, {}).status()),
            "VERSION_NOT_FOUND");
  EXPECT_EQ(ReasonOf(store_->SetAlias("b", "production", 1, /*force=*/false, {}).status()),
            "MODEL_NOT_FOUND");
}

TEST_F(SqliteModelStoreTest, RefusesNamesThatNoAliasMayHave) {
  Add("a");
  for (const std::string& alias : {std::string("latest"), std::string(""), std::string("1st"),
                                   std::string("Prod"), std::string("a/b"), std::string(64, 'a')}) {
    auto model = store_->SetAlias("a", alias, 1, /*force=*/false, {});
    ASSERT_FALSE(model.ok()) << alias;
    EXPECT_EQ(jobs::ViolationsOf(model.status())[0].field, "alias");
  }
}

TEST_F(SqliteModelStoreTest, VersionThatAnAliasNamesIsDeletedOnlyByForce) {
  Add("a");
  Add("a");
  ASSERT_TRUE(store_->SetAlias("a", "production", 1, /*force=*/false, {}).ok());
  EXPECT_EQ(ReasonOf(store_->DeleteVersion("a", 1, false)), "VERSION_IN_USE");
  EXPECT_EQ(ReasonOf(store_->DeleteModel("a", false).status()), "VERSION_IN_USE");
  EXPECT_TRUE(store_->DeleteVersion("a", 2, false).ok());  // `latest` does not hold it.
  EXPECT_TRUE(store_->DeleteVersion("a", 1, true).ok());
  EXPECT_EQ(ReasonOf(store_->GetModel("a", 1000, "").status()), "MODEL_NOT_FOUND");
  EXPECT_EQ(ReasonOf(store_->DeleteVersion("a", 1, true)), "MODEL_NOT_FOUND");
  Add("a");
  EXPECT_EQ(ReasonOf(store_->DeleteVersion("a", 1, true)), "VERSION_NOT_FOUND");
  EXPECT_EQ(Aliases(*store_->GetModel("a", 1000, "")), "latest=3");
}

TEST_F(SqliteModelStoreTest, DeletingAModelTellsWhichFilesToRemove) {
  Add("a");
  Add("a");
  ASSERT_TRUE(store_->SetAlias("a", "production", 1, /*force=*/false, {}).ok());
  EXPECT_EQ(*store_->DeleteModel("a", true), (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(ReasonOf(store_->DeleteModel("a", true).status()), "MODEL_NOT_FOUND");
}

TEST_F(SqliteModelStoreTest, ListsModelsByNameWithTheirNewestVersion) {
  for (const char* name : {"c", "a", "b", "a"}) Add(name);
  auto page = store_->ListModels(2, "");
  ASSERT_EQ(page->models_size(), 2);
  EXPECT_EQ(page->models(0).name(), "models/a");
  EXPECT_EQ(page->models(0).version_count(), 2);
  ASSERT_EQ(page->models(0).versions_size(), 1);
  EXPECT_EQ(page->models(0).versions(0).version(), 2);
  page = store_->ListModels(2, page->next_page_token());
  ASSERT_EQ(page->models_size(), 1);
  EXPECT_EQ(page->models(0).name(), "models/c");
  EXPECT_EQ(page->next_page_token(), "");
  EXPECT_EQ(store_->ListModels(2, "bogus").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(SqliteModelStoreTest, NumberThatIsRegisteredAlreadyIsRefused) {
  Add("a");
  jobs::JobUpdate update;
  update.record = record_;
  update.record.recorded_epoch = 3;
  update.model_version = MakeVersion("a", 1);
  EXPECT_FALSE(store_->Commit(update).ok());
  EXPECT_EQ(store_->Load("job")->recorded_epoch, 0);
}

}  // namespace
}  // namespace atelier::store
