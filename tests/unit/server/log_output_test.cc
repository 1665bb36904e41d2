#include "server/log_output.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "spdlog/async.h"
#include "spdlog/async_logger.h"
#include "tests/unit/wait.h"

namespace atelier::server {
namespace {

// A logger with a queue of eight lines and a thread of its own, before a small pipe.
class LogOutputTest : public testing::Test {
 protected:
  LogOutputTest() {
    EXPECT_EQ(pipe2(ends_, O_CLOEXEC), 0);
    EXPECT_GT(fcntl(ends_[1], F_SETPIPE_SZ, 4096), 0);
    threads_ = std::make_shared<spdlog::details::thread_pool>(8, 1);
    output_ = std::make_shared<LogOutput>(
        ends_[1], [threads = threads_.get()] { return threads->overrun_counter(); });
    logger_ = std::make_shared<spdlog::async_logger>("test", output_, threads_,
                                                     spdlog::async_overflow_policy::overrun_oldest);
    logger_->set_pattern("%v");
  }
  ~LogOutputTest() override {
    End();
    close(ends_[0]);
    if (ends_[1] >= 0) close(ends_[1]);
  }

  // The log ends; nothing if it has already.
  void End() {
    output_->EndSoon();
    logger_.reset();
    threads_.reset();
  }

  // The first line is in the pipe, the second waits for its reader, eight of a hundred are queued.
  void LogTooMuch() {
    logger_->info("first");
    int written = 0;
    ASSERT_TRUE(WaitFor([&] { return ioctl(ends_[0], FIONREAD, &written) == 0 && written > 0; }));
    logger_->info("second");
    ASSERT_TRUE(WaitFor([&] { return threads_->queue_size() == 0; }));
    for (int i = 0; i < 100; ++i) logger_->info("{}", i);
    ASSERT_EQ(threads_->overrun_counter(), 92u);
  }

  int ends_[2] = {-1, -1};
  std::shared_ptr<spdlog::details::thread_pool> threads_;
  std::shared_ptr<LogOutput> output_;
  std::shared_ptr<spdlog::async_logger> logger_;
};

TEST_F(LogOutputTest, EndsThoughNobodyReads) {
  LogTooMuch();
  absl::Notification ended;
  std::thread ending([&] {
    End();
    ended.Notify();
  });
  const bool in_time = ended.WaitForNotificationWithTimeout(absl::Minutes(1));
  EXPECT_TRUE(in_time);
  if (!in_time) fcntl(ends_[0], F_SETPIPE_SZ, 1 << 20);  // Or the thread would never end.
  ending.join();
}

TEST_F(LogOutputTest, SaysWhatWasDroppedWhenItIsReadAgain) {
  LogTooMuch();
  std::string text;
  std::thread reader([&] {
    char buffer[4096];
    for (ssize_t count; (count = read(ends_[0], buffer, sizeof(buffer))) > 0;) {
      text.append(buffer, static_cast<std::size_t>(count));
    }
  });
  EXPECT_TRUE(WaitFor([&] { return threads_->queue_size() == 0; }));
  End();
  close(std::exchange(ends_[1], -1));
  reader.join();
  EXPECT_EQ(text,
            "first\nsecond\nThe log was not read: 92 lines before this were dropped.\n"
            "92\n93\n94\n95\n96\n97\n98\n99\n");
}

}  // namespace
}  // namespace atelier::server
