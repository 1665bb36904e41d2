#include "server/worker/memory_limit.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace atelier::worker {
namespace {

constexpr std::int64_t kMebibyte = std::int64_t{1} << 20;

// Asks the system for memory, without the allocator of a sanitizer between.
bool CanAllocate(std::int64_t bytes) {
  void* memory = mmap(nullptr, static_cast<std::size_t>(bytes), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory != MAP_FAILED && munmap(memory, static_cast<std::size_t>(bytes)) == 0;
}

TEST(LimitAllocationsDeathTest, LetsLargerAllocationsFail) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        if (!CanAllocate(2000 * kMebibyte)) exit(1);
        if (!LimitAllocations(200 * kMebibyte)) exit(2);
        if (!CanAllocate(200 * kMebibyte)) exit(3);
        if (CanAllocate(2000 * kMebibyte)) exit(4);
        exit(0);
      },
      ::testing::ExitedWithCode(0), "");
}

TEST(UsedMemoryTest, CountsMemoryOnceItIsTouched) {
  const std::int64_t before = *UsedMemoryBytes();
  const std::size_t size = 32 << 20;
  auto* memory = static_cast<char*>(
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(memory, MAP_FAILED);
  EXPECT_LT(*UsedMemoryBytes(), before + 16 * kMebibyte);
  memset(memory, 1, size);
  EXPECT_GE(*UsedMemoryBytes(), before + 31 * kMebibyte);
  munmap(memory, size);
}

TEST(MemoryWatchTest, TellsOnceMoreIsUsedAndNotBefore) {
  const MemoryWatch content(*UsedMemoryBytes() + 1024 * kMebibyte,
                            [](std::int64_t) { ADD_FAILURE() << "told without reason"; });
  absl::Notification told;
  std::int64_t used = 0;
  const std::int64_t limit = *UsedMemoryBytes() + 32 * kMebibyte;
  const MemoryWatch watch(limit, [&](std::int64_t bytes) {
    used = bytes;
    told.Notify();
  });
  auto memory = std::make_unique<char[]>(64 * kMebibyte);
  memset(memory.get(), 1, 64 * kMebibyte);
  EXPECT_TRUE(told.WaitForNotificationWithTimeout(absl::Seconds(30)));
  EXPECT_GT(used, limit);
}

TEST(FormatBytesTest, UsesTheUnitOfItsSize) {
  EXPECT_EQ(FormatBytes(256 * kMebibyte), "256 MiB");
  EXPECT_EQ(FormatBytes(2048 * kMebibyte), "2 GiB");
  EXPECT_EQ(FormatBytes(1536 * kMebibyte), "1.5 GiB");
  EXPECT_EQ(FormatBytes(kMebibyte / 2), "0.5 MiB");
}

}  // namespace
}  // namespace atelier::worker
