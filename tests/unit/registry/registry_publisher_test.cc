#include "server/registry/registry_publisher.h"

#include <filesystem>
#include <memory>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/sqlite_store.h"
#include "tests/unit/registry/registries.h"
#include "tests/unit/store/records.h"
#include "tests/unit/store/temporary_folder.h"

namespace atelier::registry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RegistryPublisherTest : public testing::Test {
 protected:
  RegistryPublisherTest() {
    store_ = *store::SqliteStore::Open(folder_ / "atelier.db");
    record_ = store::MakeRecord("one");
    record_.sequence = *store_->Insert(record_, {});
  }

  void Add(const std::string& model) {
    jobs::JobUpdate update;
    update.record = record_;
    update.model_version = MakeVersion(model, *store_->ReserveVersion(model));
    ASSERT_TRUE(store_->Commit(update).ok());
  }
  RegistryPublisher Publisher() {
    return {{.data_dir = folder_.path(),
             .keep =
                 [this](const std::string& path) {
                   ++kept_;
                   EXPECT_EQ(path, file_);
                   return keeping_;
                 },
             .log = [this](const std::string& sentence) { log_.push_back(sentence); }},
            store_.get(),
            &observer_};
  }
  published::v1::Registry Published() {
    auto registry = ReadRegistry(store::ReadFile(file_));
    EXPECT_TRUE(registry.ok()) << registry.status();
    return registry.ok() ? *std::move(registry) : published::v1::Registry();
  }

  store::TemporaryFolder folder_;
  const std::string file_ = folder_ / kRegistryPath;
  std::unique_ptr<store::SqliteStore> store_;
  jobs::JobRecord record_;
  FakeObserver observer_;
  absl::Status keeping_;
  int kept_ = 0;
  std::vector<std::string> log_;
};

TEST_F(RegistryPublisherTest, PublishesModelsVersionsAndAliases) {
  Add("a");
  Add("a");
  Add("b");
  ASSERT_TRUE(store_->SetAlias("a", "production", 1, false, {}).ok());
  RegistryPublisher publisher = Publisher();
  EXPECT_EQ(publisher.Tick(), absl::InfiniteDuration());
  const auto registry = Published();
  ASSERT_EQ(registry.models_size(), 2);
  EXPECT_EQ(registry.models(0).name(), "models/a");
  EXPECT_EQ(registry.models(0).versions_size(), 2);
  EXPECT_EQ(registry.models(0).versions(0).version(), 2);
  EXPECT_EQ(registry.models(0).aliases_size(), 2) << "latest and production";
  EXPECT_EQ(kept_, 1);
}

TEST_F(RegistryPublisherTest, AServerWithoutModelsPublishesThat) {
  Publisher().Tick();
  EXPECT_EQ(Published().models_size(), 0);
}

TEST_F(RegistryPublisherTest, WritesOnlyWhatChanged) {
  Add("a");
  RegistryPublisher publisher = Publisher();
  publisher.Tick();
  std::filesystem::remove(file_);
  publisher.Tick();
  EXPECT_FALSE(std::filesystem::exists(file_)) << "nothing changed";
  ASSERT_TRUE(store_->DeleteVersion("a", 1, false).ok());
  publisher.Tick();
  EXPECT_EQ(Published().models_size(), 0);
  EXPECT_EQ(observer_.published, 2);
}

TEST_F(RegistryPublisherTest, ItsFirstTickMendsWhatACrashLeft) {
  Add("a");
  store::WriteFile(file_, "half a registr");
  Publisher().Tick();
  EXPECT_EQ(Published().models_size(), 1);
}

TEST_F(RegistryPublisherTest, AFailureIsSaidOnceAndTriedAgain) {
  Add("a");
  std::filesystem::create_directories(file_);
  RegistryPublisher publisher = Publisher();
  EXPECT_LT(publisher.Tick(), absl::Minutes(1));
  publisher.Tick();
  EXPECT_THAT(log_, ElementsAre(HasSubstr("The registry cannot be published")));
  EXPECT_EQ(observer_.failed, 2);
  std::filesystem::remove(file_);
  keeping_ = absl::InternalError("nobody keeps it");
  publisher.Tick();
  EXPECT_EQ(log_.size(), 2) << "something else now";
  keeping_ = absl::OkStatus();
  EXPECT_EQ(publisher.Tick(), absl::InfiniteDuration());
  EXPECT_EQ(kept_, 2) << "until it is kept, too";
  EXPECT_EQ(Published().models_size(), 1);
}

}  // namespace
}  // namespace atelier::registry
