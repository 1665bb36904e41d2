#include "models/files/file_io.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "tests/unit/models/temporary_folder.h"

namespace atelier::models {
namespace {

std::atomic<int> signals = 0;

// Reads until nobody writes any more.
std::string Drain(int descriptor) {
  std::string all;
  std::array<char, 4096> piece;
  ssize_t got = 0;
  while ((got = read(descriptor, piece.data(), piece.size())) > 0) {
    all.append(piece.data(), static_cast<size_t>(got));
  }
  return all;
}

TEST(FileIoTest, WritesEverythingHoweverOftenItIsInterrupted) {
  struct sigaction action = {};
  action.sa_handler = [](int) { ++signals; };
  ASSERT_EQ(sigaction(SIGUSR1, &action, nullptr), 0);
  std::array<int, 2> ends;
  ASSERT_EQ(pipe(ends.data()), 0);
  std::string bytes(1 << 20, 'a');
  bytes.back() = 'z';
  std::atomic<bool> written = false;
  std::thread writer([&] {
    written = WriteAll(ends[1], bytes);
    close(ends[1]);
  });
  // A pipe holds less than that: the writer waits until it is read.
  for (int i = 1; i <= 100; ++i) {
    pthread_kill(writer.native_handle(), SIGUSR1);
    while (signals < i) std::this_thread::yield();
  }
  EXPECT_EQ(Drain(ends[0]), bytes);
  writer.join();
  EXPECT_TRUE(written);
  close(ends[0]);
}

TEST(FileIoTest, SaysWhyBytesCouldNotBeWritten) {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  EXPECT_FALSE(WriteAll(full, "bytes"));
  EXPECT_EQ(errno, ENOSPC);
  close(full);
}

TEST(FileIoTest, SyncsFilesAndFolders) {
  const TemporaryFolder folder;
  folder.Write("file", "bytes");
  EXPECT_TRUE(SyncPath(folder.path()));
  EXPECT_TRUE(SyncPath(folder.File("file")));
  EXPECT_FALSE(SyncPath(folder.File("nothing")));
  EXPECT_EQ(errno, ENOENT);
}

TEST(FileIoTest, KnowsTheFolderOfAPath) {
  EXPECT_EQ(FolderOf("/a/b/file"), "/a/b");
  EXPECT_EQ(FolderOf("file"), ".");
}

}  // namespace
}  // namespace atelier::models
