// What an attempt leaves on its way to a server that has its faults.
#include "server/worker/file_sender.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spdlog/sinks/ostream_sink.h"
#include "spdlog/spdlog.h"
#include "tests/unit/worker/fake_file_server.h"

namespace atelier::worker {
namespace {

const grpc::Status kBroken(grpc::StatusCode::INTERNAL, "the server's disk fails");

class FileSenderTest : public ::testing::Test {
 protected:
  FileSenderTest() {
    std::string pattern = ::testing::TempDir() + "/sender-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~FileSenderTest() override {
    given_up_ = true;
    sender_.reset();
    std::filesystem::remove_all(folder_);
  }

  void Start() {
    line_ = std::make_unique<FileLine>(server_.Line([this] { return given_up_.load(); }));
    sender_ = std::make_unique<FileSender>(
        FileSender::Options{.report =
                                [this](v1::WorkerEvent event) {
                                  absl::MutexLock lock(&mutex_);
                                  events_.push_back(std::move(event));
                                },
                            .disk_failed = [this](const absl::Status& why) { disk_ = why; },
                            .log_interval = absl::Milliseconds(1)},
        line_.get(), &log_);
    sender_->SendFrom(folder_);
  }

  void SaveCheckpoint(int step) {
    std::ofstream(absl::StrCat(folder_, "/checkpoint-", step, ".ckpt")) << "state";
    v1::WorkerEvent event;
    event.mutable_checkpoint()->set_global_step(step);
    sender_->Report(std::move(event));
  }

  static v1::WorkerEvent Failure(const std::string& message) {
    v1::WorkerEvent event;
    event.mutable_failure()->set_reason("INTERNAL");
    event.mutable_failure()->set_message(message);
    return event;
  }

  // Waits for the events that were passed on; fewer after half a minute.
  std::vector<v1::WorkerEvent> AwaitEvents(std::size_t number) {
    absl::MutexLock lock(&mutex_);
    const auto there = [&]()
                           ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return events_.size() >= number; };
    mutex_.AwaitWithTimeout(absl::Condition(&there), absl::Seconds(30));
    return events_;
  }

  std::string folder_;
  FakeFileServer server_;
  std::atomic<bool> given_up_ = false;
  LogBuffer log_{1 << 20};
  std::unique_ptr<FileLine> line_;
  std::unique_ptr<FileSender> sender_;
  absl::Mutex mutex_;
  absl::Status disk_;  // What disk_failed was told.
  std::vector<v1::WorkerEvent> events_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(FileSenderTest, OutlastsAServerWhoseDiskFailsForAWhile) {
  server_.set_write_fault([](int call) { return call < 15 ? kBroken : grpc::Status::OK; });
  line_ = std::make_unique<FileLine>(server_.Line());
  v1::WriteFileRequest request;
  request.mutable_file()->set_kind(v1::FILE_KIND_LOG);
  EXPECT_TRUE(line_->Write(request).ok());
}

TEST_F(FileSenderTest, GivesUpAServerWhoseDiskFailsForGood) {
  server_.set_write_fault([](int) { return kBroken; });
  line_ = std::make_unique<FileLine>(server_.Line());
  EXPECT_TRUE(absl::IsInternal(line_->Write({}).status()));
}

TEST_F(FileSenderTest, TellsOfACallThatFailsOnceAMinute) {
  server_.set_write_fault([](int call) {
    return call < 15 ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "too many wait")
                     : grpc::Status::OK;
  });
  std::ostringstream lines;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines)));
  line_ = std::make_unique<FileLine>(server_.Line());
  EXPECT_TRUE(line_->Write({}).ok());
  spdlog::set_default_logger(before);
  const std::string text = lines.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  EXPECT_THAT(text, ::testing::HasSubstr("too many wait"));
}

TEST_F(FileSenderTest, ACheckpointThatCouldNotBeSentIsTriedAgain) {
  // Longer than one of them is tried.
  server_.set_write_fault([](int call) { return call < 30 ? kBroken : grpc::Status::OK; });
  Start();
  SaveCheckpoint(120);
  const auto events = AwaitEvents(1);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].checkpoint().global_step(), 120);
  EXPECT_EQ(server_.files().at({v1::FILE_KIND_CHECKPOINT, 120}), "state");
}

TEST_F(FileSenderTest, AFullDiskEndsTheAttemptAndNotTheJob) {
  Start();
  sender_->Report(
      Failure("Writing " + folder_ + "/checkpoint-30.ckpt failed: " + std::strerror(ENOSPC) + "."));
  EXPECT_TRUE(absl::IsUnknown(disk_));
  EXPECT_TRUE(AwaitEvents(0).empty());
}

TEST_F(FileSenderTest, OtherFailuresEndTheJob) {
  Start();
  sender_->Report(Failure("The loss became infinite."));
  sender_->Report(Failure("Reading /elsewhere/pixels failed: " + std::string(std::strerror(EIO))));
  sender_->Report(
      Failure("Writing " + folder_ + "/checkpoint-30.ckpt failed: " + std::strerror(EFBIG) + "."));
  EXPECT_TRUE(disk_.ok());
  EXPECT_EQ(AwaitEvents(3).size(), 3U);
}

TEST_F(FileSenderTest, AnArchiveThatCannotBeReadEndsTheAttempt) {
  Start();
  v1::WorkerEvent event;
  event.mutable_outcome()->set_archive("model.tar.gz");
  sender_->Report(event);
  EXPECT_TRUE(absl::IsUnknown(disk_)) << disk_;
  EXPECT_TRUE(AwaitEvents(0).empty());
}

}  // namespace
}  // namespace atelier::worker
