// Real programs: shell scripts.
#include "server/launch/command.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace atelier::launch {
namespace {

using ::testing::HasSubstr;

Command Shell(const std::string& script) {
  Command command;
  command.arguments = {"/bin/sh", "-c", script};
  command.environment = {"NAME=value"};
  return command;
}

TEST(CommandTest, GivesBackCodeOutputAndErrors) {
  const auto result = RunCommand(Shell("echo out; echo error >&2; echo \"$NAME$HOME\"; exit 3"));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 3);
  EXPECT_EQ(result->output, "out\nvalue\n");
  EXPECT_EQ(result->errors, "error\n");
}

TEST(CommandTest, HandsOverTheInputHoweverLongItIs) {
  Command command = Shell("wc -c; cat >/dev/null");
  command.input = std::string(1 << 20, 'x');
  EXPECT_EQ(RunCommand(command)->output, "1048576\n");
  command = Shell("exit 0");
  command.input = std::string(1 << 20, 'x');
  EXPECT_EQ(RunCommand(command)->exit_code, 0) << "one that reads none of it";
}

TEST(CommandTest, SeveralThreadsStartProgramsAtOnce) {
  Command command = Shell("");
  command.arguments = {"/bin/true"};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 250; ++j) {
        const auto result = RunCommand(command);
        ASSERT_TRUE(result.ok()) << result.status();
        EXPECT_EQ(result->exit_code, 0);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(CommandTest, EndsWhatTakesTooLongAndWhatThatStarted) {
  std::string pattern = testing::TempDir() + "/command-XXXXXX";
  const std::string dir = mkdtemp(pattern.data());
  Command command = Shell("sleep 1000 & echo $! > " + dir + "/pid; trap '' TERM; wait");
  command.timeout = absl::Milliseconds(500);
  const auto result = RunCommand(command);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("sh took longer than 500ms"));
  int child = 0;
  ASSERT_TRUE(std::ifstream(dir + "/pid") >> child);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  std::string state = "R";
  while (state != "Z" && state != "" && std::chrono::steady_clock::now() < deadline) {
    std::string pid, name;
    state = "";
    std::ifstream("/proc/" + std::to_string(child) + "/stat") >> pid >> name >> state;
  }
  EXPECT_TRUE(state == "Z" || state == "") << state;
  std::filesystem::remove_all(dir);
}

TEST(CommandTest, EndsWhatPrintsTooMuch) {
  Command command = Shell("while :; do echo yes; done");
  command.max_output = 10'000;
  EXPECT_EQ(RunCommand(command).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(CommandTest, DoesNotWaitForWhatAProgramLeavesBehind) {
  const auto result = RunCommand(Shell("sleep 1000 & echo done"));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, "done\n");
}

TEST(CommandTest, SaysWhatCannotBeStartedAndWhatWasKilled) {
  Command command;
  command.arguments = {"/no/such/program"};
  const auto missing = RunCommand(command);
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("/no/such/program"));
  EXPECT_EQ(RunCommand(Shell("kill -SEGV $$")).status().code(), absl::StatusCode::kAborted);
}

TEST(CommandTest, FindsProgramsInTheFoldersOfPath) {
  EXPECT_TRUE(FindProgram("sh").ok());
  const auto missing = FindProgram("no-such-program");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("no-such-program"));
}

}  // namespace
}  // namespace atelier::launch
