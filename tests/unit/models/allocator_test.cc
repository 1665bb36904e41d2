#include "models/base/allocator.h"

#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/sanitizers.h"

namespace atelier::models {
namespace {

constexpr std::int64_t kMebibyte = 1 << 20;

std::int64_t ResidentBytes() {
  std::int64_t all = 0;
  std::int64_t resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

// Small blocks, of which one near the end stays, so that free() alone returns nothing of them.
TEST(AllocatorTest, ReturnsWhatWasFreedBelowABlockInUse) {
  if (kAddressSanitizer) {
    GTEST_SKIP() << "the sanitizer has an allocator of its own; other builds run this";
  }
  std::vector<std::unique_ptr<char[]>> blocks(256 * 1024);
  for (auto& block : blocks) block.reset(new char[1024]());
  const auto stays = std::move(blocks.back());
  blocks.clear();
  blocks.shrink_to_fit();
  const std::int64_t before = ResidentBytes();
  ReturnFreedMemory(1024 * kMebibyte);
  EXPECT_GT(ResidentBytes(), before - 64 * kMebibyte) << "less is kept than may be";
  ReturnFreedMemory(32 * kMebibyte);
  EXPECT_LT(ResidentBytes(), before - 192 * kMebibyte);
}

}  // namespace
}  // namespace atelier::models
