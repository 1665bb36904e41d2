#include "server/processes/process_handle.h"

#include <sys/wait.h>
#include <unistd.h>

#include "gtest/gtest.h"

namespace atelier::processes {
namespace {

TEST(ProcessHandleTest, NamesThisProcess) {
  const absl::StatusOr<ProcessHandle> handle = ProcessHandle::Of(getpid());
  ASSERT_TRUE(handle.ok()) << handle.status();
  EXPECT_EQ(handle->pid, getpid());
  EXPECT_GT(handle->start_ticks, 0u);
  EXPECT_EQ(handle->boot_id.size(), 36u);
  EXPECT_TRUE(handle->Runs());
}

TEST(ProcessHandleTest, ComesBackFromItsText) {
  const absl::StatusOr<ProcessHandle> handle = ProcessHandle::Of(getpid());
  ASSERT_TRUE(handle.ok());
  const absl::StatusOr<ProcessHandle> parsed = ProcessHandle::Parse(handle->ToString());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, *handle);
}

TEST(ProcessHandleTest, RefusesOtherTexts) {
  for (const char* text :
       {"", "12", "12:34", "x:1:boot", "-1:1:boot", "0:1:boot", "1:x:boot", "1:2:boot:more"}) {
    EXPECT_EQ(ProcessHandle::Parse(text).status().code(), absl::StatusCode::kInvalidArgument)
        << text;
  }
}

TEST(ProcessHandleTest, IsNotAnotherProcessOfTheSameId) {
  ProcessHandle handle = *ProcessHandle::Of(getpid());
  ++handle.start_ticks;
  EXPECT_FALSE(handle.Runs());
}

TEST(ProcessHandleTest, IsNotAProcessOfAnotherBoot) {
  ProcessHandle handle = *ProcessHandle::Of(getpid());
  handle.boot_id[0] = handle.boot_id[0] == '0' ? '1' : '0';
  EXPECT_FALSE(handle.Runs());
}

TEST(ProcessHandleTest, DoesNotRunOnceItHasEnded) {
  const pid_t pid = fork();
  if (pid == 0) _exit(0);
  siginfo_t info;
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
  const absl::StatusOr<ProcessHandle> uncollected = ProcessHandle::Of(pid);
  ASSERT_TRUE(uncollected.ok()) << uncollected.status();
  EXPECT_FALSE(uncollected->Runs());
  ASSERT_EQ(waitpid(pid, nullptr, 0), pid);
  EXPECT_EQ(ProcessHandle::Of(pid).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace atelier::processes
