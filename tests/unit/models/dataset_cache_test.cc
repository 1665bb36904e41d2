#include "models/data/dataset_cache.h"

#include <signal.h>
#include <sys/resource.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/base/failure.h"
#include "models/data/dataset_file.h"
#include "tests/unit/models/temporary_folder.h"

namespace atelier::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace fs = std::filesystem;

// An IDX file of those dimensions.
std::string Idx(const std::vector<uint8_t>& dimensions, const std::string& bytes) {
  std::string file = {0, 0, 8, static_cast<char>(dimensions.size())};
  for (const uint8_t d : dimensions) file += std::string(3, '\0') + static_cast<char>(d);
  return file + bytes;
}

// Sound data sets of 4 training and 2 test images of 1x2, and a cache.
class DatasetCacheTest : public testing::Test {
 protected:
  DatasetCacheTest() { WriteSources(sources_, 'a'); }

  static void WriteSources(const TemporaryFolder& folder, char pixel) {
    folder.Write("train-images-idx3-ubyte", Idx({4, 1, 2}, std::string(8, pixel)));
    folder.Write("train-labels-idx1-ubyte", Idx({4}, std::string("\0\1\2\1", 4)));
    folder.Write("t10k-images-idx3-ubyte", Idx({2, 1, 2}, "wxyz"));
    folder.Write("t10k-labels-idx1-ubyte", Idx({2}, std::string("\2\0", 2)));
  }
  std::string CacheDir() const { return folder_.File("datasets"); }
  DatasetCache::Loaded Load(int64_t max_bytes = 1 << 20) const {
    return LoadFrom(sources_.path(), max_bytes);
  }
  DatasetCache::Loaded LoadFrom(const std::string& dir, int64_t max_bytes) const {
    auto loaded = DatasetCache({CacheDir(), max_bytes}).Load(dir);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    return loaded.ok() ? *std::move(loaded) : DatasetCache::Loaded();
  }
  std::vector<std::string> Files() const {
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(CacheDir())) files.push_back(entry.path());
    return files;
  }
  // After damage, one load reads the sources and says so, and the next finds the cache sound.
  void ExpectRebuilt() const {
    const DatasetCache::Loaded rebuilt = Load();
    EXPECT_FALSE(rebuilt.from_cache);
    EXPECT_THAT(std::string(rebuilt.problem.message()), HasSubstr("is not usable"));
    ASSERT_NE(rebuilt.dataset, nullptr);
    EXPECT_EQ(rebuilt.dataset->training().pixels[0], 'a');
    EXPECT_TRUE(Load().from_cache);
  }

  TemporaryFolder sources_;
  TemporaryFolder folder_;
};

TEST_F(DatasetCacheTest, GivesTheSameFromTheCacheAsFromTheSources) {
  const DatasetCache::Loaded first = Load();
  EXPECT_FALSE(first.from_cache);
  EXPECT_TRUE(first.problem.ok()) << first.problem;
  const DatasetCache::Loaded second = Load();
  EXPECT_TRUE(second.from_cache);
  const auto plain = Dataset::Load(sources_.path());
  ASSERT_TRUE(plain.ok()) << plain.status();
  for (const auto& dataset : {first.dataset, second.dataset}) {
    EXPECT_EQ(dataset->checksum(), (*plain)->checksum());
    EXPECT_EQ(dataset->shape(), (*plain)->shape());
    EXPECT_EQ(dataset->class_names(), (*plain)->class_names());
    EXPECT_EQ(dataset->training().pixels, (*plain)->training().pixels);
    EXPECT_THAT(dataset->test().labels, ElementsAre(2, 0));
    EXPECT_THAT(dataset->Image(SplitName::kTest, 1), ElementsAre('y', 'z'));
  }
}

// Labels of one byte stay as they were written before there were wider ones.
TEST_F(DatasetCacheTest, LabelsTakeTwoBytesWhereThereAreMoreThan256Classes) {
  for (const int classes : {256, 257}) {
    std::string names = "[\"0\"";
    for (int i = 1; i < classes; ++i) names += absl::StrCat(",\"", i, "\"");
    sources_.Write("class_names.json", names + "]");
    const std::string last = {0, 0, static_cast<char>((classes - 1) >> 8),
                              static_cast<char>((classes - 1) & 0xff)};
    fs::remove(sources_.File("t10k-labels-idx1-ubyte"));
    sources_.Write("t10k-labels-idx2-int",
                   std::string("\0\0\x0c\2\0\0\0\2\0\0\0\1", 12) + std::string(4, '\0') + last);
    EXPECT_FALSE(Load().from_cache);
    const DatasetCache::Loaded cached = Load();
    EXPECT_TRUE(cached.from_cache);
    EXPECT_THAT(cached.dataset->test().labels, ElementsAre(0, classes - 1));
    EXPECT_THAT(cached.dataset->training().labels, ElementsAre(0, 1, 2, 1));
    ASSERT_EQ(Files().size(), 1U);
    const auto file = DatasetFile::Open(Files()[0]);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(file->ReadImage(SplitName::kTest, 1)->label, classes - 1);
    EXPECT_THAT(file->ReadImage(SplitName::kTest, 1)->pixels, ElementsAre('y', 'z'));
    EXPECT_THAT(*file->ReadLabels(SplitName::kTest), ElementsAre(0, classes - 1));
    EXPECT_TRUE(file->Verify(nullptr).ok());
    const std::string bytes = folder_.Read("datasets/" + fs::path(Files()[0]).filename().string());
    EXPECT_THAT(bytes, HasSubstr(classes == 256 ? "atelier-dataset-2 " : "atelier-dataset-3 "));
  }
}

TEST_F(DatasetCacheTest, NeedsNoFolder) {
  const auto loaded = DatasetCache({}).Load(sources_.path());
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_FALSE(loaded->from_cache);
  EXPECT_TRUE(loaded->problem.ok());
}

TEST_F(DatasetCacheTest, OutlivesItsFile) {
  Load();
  const DatasetCache::Loaded mapped = Load();
  fs::remove_all(CacheDir());
  EXPECT_EQ(mapped.dataset->training().pixels[7], 'a');
}

TEST_F(DatasetCacheTest, NoticesOtherSources) {
  Load();
  WriteSources(sources_, 'b');
  const DatasetCache::Loaded changed = Load();
  EXPECT_FALSE(changed.from_cache);
  EXPECT_EQ(changed.dataset->training().pixels[0], 'b');
  EXPECT_EQ(Files().size(), 1U) << "the replaced file is still there";
  sources_.Write("class_names.json", R"(["x", "y", "z"])");
  EXPECT_THAT(Load().dataset->class_names(), ElementsAre("x", "y", "z"));
}

TEST_F(DatasetCacheTest, RebuildsWhateverByteIsDamaged) {
  Load();
  const std::string name = "datasets/" + fs::path(Files().at(0)).filename().string();
  const std::string good = folder_.Read(name);
  // Pixels and labels of both splits (18 bytes), the footer, and the last line.
  for (const size_t at : {size_t{0}, size_t{9}, size_t{13}, size_t{17}, size_t{20},
                          good.size() - 90, good.size() - 30, good.size() - 3, good.size() - 1}) {
    SCOPED_TRACE(at);
    std::string bad = good;
    bad[at] ^= 1;
    folder_.Write(name, bad);
    ExpectRebuilt();
  }
}

TEST_F(DatasetCacheTest, RebuildsWhatIsTooShortOrTooLong) {
  Load();
  const std::string name = "datasets/" + fs::path(Files().at(0)).filename().string();
  const std::string good = folder_.Read(name);
  for (const size_t size : {size_t{0}, size_t{1}, size_t{40}, size_t{150}, good.size() - 1}) {
    SCOPED_TRACE(size);
    folder_.Write(name, good.substr(0, size));
    ExpectRebuilt();
  }
  folder_.Write(name, good + "x");
  ExpectRebuilt();
}

TEST_F(DatasetCacheTest, ServesManyThatMakeItAtOnce) {
  std::vector<DatasetCache::Loaded> loaded(8);
  std::vector<std::thread> threads;
  for (DatasetCache::Loaded& one : loaded) {
    threads.emplace_back([this, &one] { one = Load(); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const DatasetCache::Loaded& one : loaded) {
    EXPECT_TRUE(one.problem.ok()) << one.problem;
    ASSERT_NE(one.dataset, nullptr);
    EXPECT_EQ(one.dataset->checksum(), loaded[0].dataset->checksum());
  }
  EXPECT_EQ(Files().size(), 1U) << "files were left beside it";
  EXPECT_TRUE(Load().from_cache);
}

TEST_F(DatasetCacheTest, ReadsTheSourcesWhereTheFolderCannotBeMade) {
  folder_.Write("datasets", "a file is in the way");
  const DatasetCache::Loaded loaded = Load();
  EXPECT_FALSE(loaded.from_cache);
  EXPECT_FALSE(loaded.problem.ok());
  ASSERT_NE(loaded.dataset, nullptr);
  EXPECT_EQ(loaded.dataset->training().size(), 4);
}

TEST_F(DatasetCacheTest, ReadsTheSourcesWhereTheFileCannotBeWritten) {
  // A limit on the size of files is a disk that is full after so many bytes.
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {64, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const DatasetCache::Loaded loaded = Load();
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, handler);
  EXPECT_THAT(std::string(loaded.problem.message()), HasSubstr("writing"));
  ASSERT_NE(loaded.dataset, nullptr);
  EXPECT_EQ(loaded.dataset->training().size(), 4);
  EXPECT_TRUE(Files().empty()) << "half a file was left";
}

TEST_F(DatasetCacheTest, KeepsTheWarnings) {
  sources_.Write("t10k-images-idx3-ubyte", Idx({2, 1, 2}, "aaaa"));
  const std::vector<std::string> warnings = Load().dataset->warnings();
  EXPECT_FALSE(warnings.empty());
  const DatasetCache::Loaded cached = Load();
  EXPECT_TRUE(cached.from_cache);
  EXPECT_EQ(cached.dataset->warnings(), warnings);
}

TEST_F(DatasetCacheTest, PreparesAFileThatIsReadByPiece) {
  const DatasetCache cache({CacheDir()});
  const auto path = cache.Prepare(sources_.path());
  ASSERT_TRUE(path.ok()) << path.status();
  const auto file = DatasetFile::Open(*path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->summary().checksum, Load().dataset->checksum());
  const auto training = file->ReadImage(SplitName::kTraining, 3);
  EXPECT_THAT(training->pixels, ElementsAre('a', 'a'));
  EXPECT_EQ(training->label, 1);
  const auto test = file->ReadImage(SplitName::kTest, 0);
  EXPECT_THAT(test->pixels, ElementsAre('w', 'x'));
  EXPECT_EQ(test->label, 2);
  EXPECT_EQ(cache.Prepare(sources_.path()).value(), *path);
}

TEST_F(DatasetCacheTest, AFileThatIsCutOffWhileItIsOpenIsAnErrorAndNoSignal) {
  const DatasetCache cache({CacheDir()});
  const std::string path = cache.Prepare(sources_.path()).value();
  const auto file = DatasetFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  fs::resize_file(path, 3);
  EXPECT_EQ(file->ReadImage(SplitName::kTest, 0).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(file->Verify(nullptr).code(), absl::StatusCode::kDataLoss);
  const auto again = DatasetFile::Open(cache.Prepare(sources_.path()).value());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_THAT(again->ReadImage(SplitName::kTest, 0)->pixels, ElementsAre('w', 'x'));
}

TEST_F(DatasetCacheTest, PrepareTellsBadSourcesFromABadCache) {
  folder_.Write("datasets", "a file is in the way");
  const DatasetCache cache({CacheDir()});
  EXPECT_NE(ReasonOf(cache.Prepare(sources_.path()).status()), FailureReason::kBadData);
  sources_.Write("train-labels-idx1-ubyte", "no labels");
  EXPECT_EQ(ReasonOf(cache.Prepare(sources_.path()).status()), FailureReason::kBadData);
}

TEST_F(DatasetCacheTest, ReportsBadSources) {
  sources_.Write("train-labels-idx1-ubyte", "no labels");
  const auto loaded = DatasetCache({CacheDir()}).Load(sources_.path());
  EXPECT_EQ(ReasonOf(loaded.status()), FailureReason::kBadData);
}

TEST_F(DatasetCacheTest, KeepsWithinItsBounds) {
  TemporaryFolder other;
  WriteSources(other, 'o');
  LoadFrom(other.path(), 1 << 20);
  const std::string abandoned = CacheDir() + "/x.dataset.AbCdEf";
  folder_.Write("datasets/x.dataset.AbCdEf", "half");
  folder_.Write("datasets/notes.txt", "not ours");
  fs::last_write_time(abandoned, fs::file_time_type::clock::now() - std::chrono::hours(2));
  // Room for one only.
  Load(/*max_bytes=*/1);
  EXPECT_FALSE(fs::exists(abandoned));
  EXPECT_TRUE(fs::exists(CacheDir() + "/notes.txt"));
  EXPECT_EQ(Files().size(), 2U);
  EXPECT_TRUE(Load().from_cache);
  EXPECT_FALSE(LoadFrom(other.path(), 1 << 20).from_cache);
}

}  // namespace
}  // namespace atelier::models
