#include "server/worker/log_sink.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spdlog/spdlog.h"

namespace atelier::worker {
namespace {

class LogSinkTest : public ::testing::Test {
 protected:
  LogSinkTest() {
    path_ = ::testing::TempDir() + "/log-XXXXXX";
    fd_ = mkostemp(path_.data(), O_APPEND);
  }
  ~LogSinkTest() override {
    close(fd_);
    unlink(path_.c_str());
  }
  std::string Text() const {
    std::ifstream file(path_);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  std::unique_ptr<spdlog::logger> Logger(std::int64_t max_bytes) const {
    auto logger = std::make_unique<spdlog::logger>("t", std::make_shared<LogSink>(fd_, max_bytes));
    logger->set_pattern("%v");
    return logger;
  }

  std::string path_;
  int fd_ = -1;
};

TEST_F(LogSinkTest, WritesEachLineAtOnce) {
  const auto logger = Logger(1000);
  logger->info("one");
  EXPECT_EQ(Text(), "one\n");
  logger->info("two");
  EXPECT_EQ(Text(), "one\ntwo\n");
}

TEST_F(LogSinkTest, StopsAtItsSizeAndSaysSo) {
  const auto logger = Logger(10);
  for (int i = 0; i < 5; ++i) logger->info("1234");
  EXPECT_EQ(Text(),
            "1234\n1234\nThe log has reached its maximum size; nothing more is written to it.\n");
}

TEST_F(LogSinkTest, CountsWhatOthersWrote) {
  ASSERT_EQ(write(fd_, "a library's warning\n", 20), 20);
  const auto logger = Logger(20);
  logger->info("1234");
  EXPECT_THAT(Text(), ::testing::Not(::testing::HasSubstr("1234")));
}

TEST(LogSinkPipeTest, APipeThatNobodyReadsHoldsNobodyUp) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  ASSERT_GT(fcntl(ends[1], F_SETPIPE_SZ, 4096), 0);
  spdlog::logger logger("t", std::make_shared<LogSink>(ends[1], 1000));
  logger.set_pattern("%v");
  // Each line takes a page of the pipe to itself: its first fills it.
  const std::string line(4000, '.');
  for (int i = 0; i < 10; ++i) logger.info("{}{}", i, line);
  char buffer[8192];
  ASSERT_EQ(read(ends[0], buffer, sizeof(buffer)), 4002);
  logger.info("again");
  const ssize_t count = read(ends[0], buffer, sizeof(buffer));
  ASSERT_GT(count, 0);
  EXPECT_EQ(std::string(buffer, static_cast<std::size_t>(count)),
            "The log was not read: 9 lines before this were dropped.\nagain\n");
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace atelier::worker
