// Data sets on a machine that does not see the server's data directory.
#include "server/worker/node_cache.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/files/sha256.h"

namespace atelier::worker {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

void Put(const fs::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

class NodeCacheTest : public ::testing::Test {
 protected:
  NodeCacheTest() {
    std::string pattern = ::testing::TempDir() + "/cache-XXXXXX";
    root_ = mkdtemp(pattern.data());
  }
  ~NodeCacheTest() override { fs::remove_all(root_); }

  NodeCache Cache(std::int64_t max_bytes = 100) {
    return NodeCache({.dir = root_ / "datasets",
                      .max_bytes = max_bytes,
                      .stop = &stop_,
                      .look = absl::Milliseconds(1)});
  }

  absl::StatusOr<NodeCache::Held> Fetch(const NodeCache& cache, const std::string& content) {
    return cache.Get(models::Sha256Of(content), static_cast<std::int64_t>(content.size()),
                     [&](const std::string& path) {
                       ++fetched_;
                       Put(path, content);
                       return absl::OkStatus();
                     });
  }

  std::int64_t BytesThere() {
    std::int64_t bytes = 0;
    for (const auto& entry : fs::directory_iterator(root_ / "datasets")) {
      bytes += static_cast<std::int64_t>(entry.file_size());
    }
    return bytes;
  }

  fs::path root_;
  models::StopSignal stop_;
  std::atomic<int> fetched_ = 0;
};

TEST_F(NodeCacheTest, FetchesOnce) {
  const NodeCache cache = Cache();
  ASSERT_TRUE(Fetch(cache, "pixels").ok());
  const auto again = Fetch(cache, "pixels");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(fetched_, 1);
  EXPECT_TRUE(fs::exists(again->path));
}

TEST_F(NodeCacheTest, FetchesAgainWhatIsDamaged) {
  const NodeCache cache = Cache();
  const std::string path = Fetch(cache, "pixels")->path;
  Put(path, "pixelz");
  EXPECT_TRUE(Fetch(cache, "pixels").ok());
  EXPECT_EQ(fetched_, 2);
}

TEST_F(NodeCacheTest, RemovesTheLeastRecentlyUsedForALimit) {
  const NodeCache cache = Cache(20);
  const std::string first = Fetch(cache, "first 890")->path;
  const std::string second = Fetch(cache, "second 89")->path;
  ASSERT_TRUE(Fetch(cache, "first 890").ok());
  ASSERT_TRUE(Fetch(cache, "third 789").ok());
  EXPECT_TRUE(fs::exists(first));
  EXPECT_FALSE(fs::exists(second));
  EXPECT_LE(BytesThere(), 20);
}

TEST_F(NodeCacheTest, RemovesNothingThatIsUsedAndWaits) {
  const NodeCache cache = Cache(10);
  auto held = std::make_unique<NodeCache::Held>(*Fetch(cache, "in use"));
  absl::Status status;
  std::thread waiting([&] { status = Fetch(cache, "another").status(); });
  for (const absl::Time end = absl::Now() + absl::Milliseconds(50); absl::Now() < end;) {
    EXPECT_TRUE(fs::exists(held->path));
  }
  const std::string path = held->path;
  held.reset();
  waiting.join();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(NodeCacheTest, CountsWhatIsBegunAndRemovesItWhenNobodyFetchesIt) {
  const NodeCache cache = Cache(20);
  const auto cut_off = cache.Get(std::string(64, 'a'), 15, [&](const std::string& path) {
    Put(path, "begun");
    return absl::CancelledError("cut off");
  });
  EXPECT_TRUE(absl::IsCancelled(cut_off.status()));
  // The beginning stays for the next try.
  EXPECT_EQ(BytesThere(), 5);
  ASSERT_TRUE(Fetch(cache, "ten bytes!").ok());
  EXPECT_EQ(BytesThere(), 10);
}

TEST_F(NodeCacheTest, RefusesWhatIsLargerThanAllOfIt) {
  const auto refused = Fetch(Cache(3), "pixels");
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("--worker_cache_bytes"));
}

TEST_F(NodeCacheTest, TwoFetchOnce) {
  const NodeCache cache = Cache();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { EXPECT_TRUE(Fetch(cache, "pixels").ok()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(fetched_, 1);
}

TEST_F(NodeCacheTest, GivesUpWaiting) {
  const NodeCache cache = Cache(10);
  const auto held = Fetch(cache, "in use");
  stop_.Suspend();
  EXPECT_TRUE(absl::IsCancelled(Fetch(cache, "another").status()));
}

// Reads of a file since it was made.
class Opens {
 public:
  explicit Opens(const std::string& path) : queue_(inotify_init1(IN_NONBLOCK)) {
    inotify_add_watch(queue_, path.c_str(), IN_OPEN);
  }
  ~Opens() { close(queue_); }

  int count() {
    // Events of a file that is watched itself carry no name, and like ones in a row are but one.
    inotify_event event;
    while (read(queue_, &event, sizeof(event)) == sizeof(event)) count_ += event.mask == IN_OPEN;
    return count_;
  }

 private:
  const int queue_;
  int count_ = 0;
};

TEST_F(NodeCacheTest, WaitsForTheUsersOfADamagedOneWithoutReadingItAgain) {
  const NodeCache cache = Cache();
  auto held = std::make_unique<NodeCache::Held>(*Fetch(cache, "pixels"));
  Put(held->path, "pixelz");
  Opens opens(held->path);
  absl::Status status;
  std::thread waiting([&] { status = Fetch(cache, "pixels").status(); });
  int reads = 0;
  for (const absl::Time end = absl::Now() + absl::Milliseconds(100); absl::Now() < end;) {
    reads = opens.count();
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_EQ(reads, 1);
  held.reset();
  waiting.join();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(fetched_, 2);
}

TEST_F(NodeCacheTest, UsesWhatAnotherHasMadeGoodMeanwhile) {
  const NodeCache cache = Cache();
  const auto held = Fetch(cache, "pixels");
  Put(held->path, "pixelz");
  Opens opens(held->path);
  absl::Status status;
  std::thread waiting([&] { status = Fetch(cache, "pixels").status(); });
  while (opens.count() == 0) absl::SleepFor(absl::Milliseconds(1));
  Put(root_ / "good", "pixels");
  fs::rename(root_ / "good", held->path);
  waiting.join();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(fetched_, 1);
}

TEST_F(NodeCacheTest, RemovesNothingInVain) {
  const NodeCache cache = Cache(20);
  const auto held = Fetch(cache, "in use 890");
  const std::string unused = Fetch(cache, "unused")->path;
  std::thread waiting([&] { EXPECT_FALSE(Fetch(cache, "fifteen bytes..").ok()); });
  for (const absl::Time end = absl::Now() + absl::Milliseconds(50); absl::Now() < end;) {
    EXPECT_TRUE(fs::exists(unused));
  }
  stop_.Suspend();
  waiting.join();
  EXPECT_TRUE(fs::exists(unused));
}

TEST_F(NodeCacheTest, ACacheThatOthersMayWriteToIsRefused) {
  fs::create_directory(root_ / "datasets");
  fs::permissions(root_ / "datasets", fs::perms::all);
  const auto refused = Fetch(Cache(), "pixels");
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("datasets has mode 0777; it has"));
}

}  // namespace
}  // namespace atelier::worker
