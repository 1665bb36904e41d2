#include "server/serving/dataset_catalog.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/models/temporary_folder.h"
#include "tests/unit/serving/tiny_dataset.h"

namespace atelier::serving {
namespace {

using ::testing::ElementsAre;

TEST(DatasetCatalogTest, KnowsNamesAndFolders) {
  DatasetCatalog catalog({{"b", "/somewhere"}, {"a", "/elsewhere"}});
  EXPECT_THAT(catalog.Names(), ElementsAre("a", "b"));
  EXPECT_EQ(catalog.Directory("b"), "/somewhere");
  EXPECT_EQ(catalog.Directory("c"), std::nullopt);
}

TEST(DatasetCatalogTest, TellsWhatTheHeadersSay) {
  const models::TemporaryFolder folder;
  WriteDataset(folder, 5);
  DatasetCatalog catalog({{"small", folder.path()}});
  const auto info = catalog.Info("small");
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->training_images, 5);
  EXPECT_EQ(info->test_images, 1);
  EXPECT_EQ(info->shape, (models::ImageShape{1, 2, 2}));
}

TEST(DatasetCatalogTest, NoticesChangedFiles) {
  const models::TemporaryFolder folder;
  DatasetCatalog catalog({{"small", folder.path()}});
  EXPECT_FALSE(catalog.Info("small").ok());
  WriteDataset(folder, 5);
  ASSERT_TRUE(catalog.Info("small").ok());
  ASSERT_TRUE(catalog.Load("small").ok());
  WriteDataset(folder, 6);
  EXPECT_EQ(catalog.Info("small")->training_images, 6);
  EXPECT_EQ((*catalog.Load("small"))->training().size(), 6);
}

TEST(DatasetCatalogTest, SharesWhatIsLoadedAndKeepsTheLastUsed) {
  const models::TemporaryFolder a, b;
  WriteDataset(a, 5);
  WriteDataset(b, 6);
  DatasetCatalog catalog({{"a", a.path()}, {"b", b.path()}}, {.max_loaded = 1});
  std::weak_ptr<const models::Dataset> first;
  {
    const auto loaded = catalog.Load("a");
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(*catalog.Load("a"), *loaded);
    first = *loaded;
  }
  EXPECT_FALSE(first.expired());
  ASSERT_TRUE(catalog.Load("b").ok());
  EXPECT_TRUE(first.expired());
}

TEST(DatasetCatalogTest, TellsTheChecksumOfWhatIsThereNow) {
  const models::TemporaryFolder folder;
  DatasetCatalog catalog({{"small", folder.path()}});
  EXPECT_FALSE(catalog.Checksum("small").ok());
  WriteDataset(folder, 5);
  const auto five = catalog.Checksum("small");
  ASSERT_TRUE(five.ok()) << five.status();
  EXPECT_EQ(*five, (*models::Dataset::Load(folder.path()))->checksum());
  EXPECT_EQ(*catalog.Checksum("small"), *five);
  WriteDataset(folder, 6);
  EXPECT_NE(*catalog.Checksum("small"), *five);
}

TEST(DatasetCatalogTest, SharesTheFilesOfTheCache) {
  const models::TemporaryFolder folder, cache;
  WriteDataset(folder, 5);
  DatasetCatalog catalog({{"small", folder.path()}}, {.cache_dir = cache.path()});
  ASSERT_TRUE(catalog.Load("small").ok());
  const auto again = models::DatasetCache({cache.path()}).Load(folder.path());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->from_cache);
}

}  // namespace
}  // namespace atelier::serving
