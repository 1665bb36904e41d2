#include "server/views/dataset_catalog.h"

#include <sys/stat.h>
#include <zlib.h>

#include <filesystem>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/models/temporary_folder.h"
#include "tests/unit/serving/tiny_dataset.h"

namespace atelier::views {
namespace {

using serving::Idx;
using serving::WriteDataset;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace fs = std::filesystem;

constexpr absl::Duration kForever = absl::InfiniteDuration();

class DatasetCatalogTest : public testing::Test {
 protected:
  DatasetCatalog Catalog() {
    return DatasetCatalog({{"small", folder_.path()}}, {.cache_dir = cache_.path()});
  }

  const models::TemporaryFolder folder_;
  const models::TemporaryFolder cache_;
};

TEST_F(DatasetCatalogTest, KnowsNamesAndFolders) {
  const DatasetCatalog catalog({{"b", "/somewhere"}, {"a", "/elsewhere"}}, {});
  EXPECT_THAT(catalog.Names(), ElementsAre("a", "b"));
  EXPECT_EQ(catalog.Directory("b"), "/somewhere");
  EXPECT_EQ(catalog.Directory("c"), std::nullopt);
}

TEST_F(DatasetCatalogTest, TellsWhatTheHeadersSay) {
  WriteDataset(folder_, 5);
  DatasetCatalog catalog = Catalog();
  const auto info = catalog.Info("small");
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->training_images, 5);
  EXPECT_EQ(info->test_images, 1);
  EXPECT_EQ(info->shape, (models::ImageShape{1, 2, 2}));
}

TEST_F(DatasetCatalogTest, NoticesChangedFiles) {
  DatasetCatalog catalog = Catalog();
  EXPECT_FALSE(catalog.Info("small").ok());
  EXPECT_FALSE(catalog.Read("small", kForever)->ok());
  WriteDataset(folder_, 5);
  ASSERT_TRUE(catalog.Info("small").ok());
  ASSERT_TRUE(catalog.Open("small", kForever).ok());
  WriteDataset(folder_, 6);
  EXPECT_EQ(catalog.Info("small")->training_images, 6);
  EXPECT_EQ(catalog.Open("small", kForever)->summary().info.training_images, 6);
}

TEST_F(DatasetCatalogTest, TellsChecksumAndWarningsOfWhatIsThereNow) {
  WriteDataset(folder_, 5);
  DatasetCatalog catalog = Catalog();
  const auto five = catalog.Read("small", kForever);
  ASSERT_TRUE(five.has_value() && five->ok());
  EXPECT_EQ((*five)->summary.checksum, (*models::Dataset::Load(folder_.path()))->checksum());
  EXPECT_THAT((*five)->summary.warnings, ElementsAre(HasSubstr("another class")));
  WriteDataset(folder_, 6);
  EXPECT_NE((*catalog.Read("small", kForever))->summary.checksum, (*five)->summary.checksum);
}

TEST_F(DatasetCatalogTest, SharesTheFilesOfTheCache) {
  WriteDataset(folder_, 5);
  DatasetCatalog catalog = Catalog();
  ASSERT_TRUE(catalog.Open("small", kForever).ok());
  const auto again = models::DatasetCache({cache_.path()}).Load(folder_.path());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->from_cache);
}

TEST_F(DatasetCatalogTest, MakesAFileAnewThatIsCutOffOrGone) {
  WriteDataset(folder_, 5);
  DatasetCatalog catalog = Catalog();
  ASSERT_TRUE(catalog.Open("small", kForever).ok());
  const fs::path file = fs::directory_iterator(cache_.path())->path();
  for (const bool cut : {true, false}) {
    SCOPED_TRACE(cut);
    if (cut) {
      fs::resize_file(file, 3);
    } else {
      fs::remove(file);
    }
    const auto opened = catalog.Open("small", kForever);
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_THAT(opened->ReadImage(models::SplitName::kTest, 0)->pixels,
                ElementsAre('a', 'b', 'c', 'd'));
  }
}

TEST_F(DatasetCatalogTest, RemembersWhatIsWrongWithTheImages) {
  WriteDataset(folder_, 5);
  folder_.Write("train-images-idx3-ubyte", Idx({5, 2, 2}, "cut"));
  DatasetCatalog catalog = Catalog();
  EXPECT_TRUE(catalog.Info("small").ok()) << "the headers are right";
  EXPECT_FALSE(catalog.Read("small", kForever)->ok());
  EXPECT_THAT(std::string(catalog.Info("small").status().message()), HasSubstr("truncated"));
  WriteDataset(folder_, 5);
  EXPECT_TRUE(catalog.Info("small").ok());
}

TEST_F(DatasetCatalogTest, DoesNotBlameTheFilesForACacheThatCannotBeWritten) {
  WriteDataset(folder_, 5);
  DatasetCatalog catalog({{"small", folder_.path()}}, {.cache_dir = "/dev/null/cache"});
  EXPECT_FALSE(catalog.Read("small", kForever)->ok());
  EXPECT_TRUE(catalog.Info("small").ok());
}

TEST_F(DatasetCatalogTest, AFifoAmongTheFilesHoldsNobodyUp) {
  WriteDataset(folder_, 5);
  fs::remove(folder_.File("t10k-images-idx3-ubyte"));
  ASSERT_EQ(mkfifo(folder_.File("t10k-images-idx3-ubyte").c_str(), 0600), 0);
  DatasetCatalog catalog = Catalog();
  EXPECT_THAT(std::string(catalog.Info("small").status().message()), HasSubstr("is a FIFO"));
}

// Writes so many images of 64 MiB, all of them black, in less than one.
void WriteLargeImages(const std::string& path, char count) {
  const std::string header = {0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0x20, 0, 0, 0, 0x20, 0};
  const std::string zeros(1 << 20, '\0');
  const gzFile file = gzopen(path.c_str(), "wb1");
  ASSERT_NE(file, nullptr);
  gzwrite(file, header.data(), static_cast<unsigned>(header.size()));
  for (int i = 0; i < count * 64; ++i) gzwrite(file, zeros.data(), 1 << 20);
  gzclose(file);
}

TEST_F(DatasetCatalogTest, ALargeDataSetHoldsNobodyUpWhoAsksForAnother) {
  const models::TemporaryFolder neighbour;
  WriteDataset(neighbour, 5);
  WriteDataset(folder_, 5);
  for (const auto& [name, count] :
       {std::pair("train-images-idx3-ubyte", '\5'), std::pair("t10k-images-idx3-ubyte", '\1')}) {
    fs::remove(folder_.File(name));
    WriteLargeImages(folder_.File(name) + ".gz", count);
  }
  DatasetCatalog catalog({{"large", folder_.path()}, {"small", neighbour.path()}},
                         {.cache_dir = cache_.path()});
  EXPECT_TRUE(catalog.Info("large").ok()) << catalog.Info("large").status();
  EXPECT_FALSE(catalog.Read("large", absl::ZeroDuration()).has_value());
  EXPECT_TRUE(catalog.Read("small", kForever)->ok());
  catalog.Stop();
  EXPECT_TRUE(catalog.Read("large", kForever).has_value());
}

}  // namespace
}  // namespace atelier::views
