#include "server/launch/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/base/system_clock.h"
#include "server/launch/spawn.h"

namespace atelier::launch {
namespace {

// What a killed program has to be gone in; one that the kernel does not let go is left to it.
constexpr absl::Duration kKillPatience = absl::Seconds(2);

// A descriptor, closed with its owner.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() { Close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  // Above those of the standard streams, which a child replaces.
  bool Take(int fd) {
    Close();
    fd_ = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (fd >= 0) close(fd);
    return fd_ >= 0;
  }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

absl::Status SystemError(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", strerror(errno)));
}

bool MakePipe(Descriptor* reading, Descriptor* writing) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  const bool reads = reading->Take(ends[0]);
  const bool writes = writing->Take(ends[1]);
  return reads && writes && fcntl(reading->get(), F_SETFL, O_NONBLOCK) == 0;
}

// A file in memory that holds the input, to be read from its beginning.
absl::Status MakeInput(const std::string& text, Descriptor* input) {
  if (!input->Take(memfd_create("input", MFD_CLOEXEC))) return SystemError("memfd_create");
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t written = write(input->get(), text.data() + done, text.size() - done);
    if (written < 0 && errno != EINTR) return SystemError("write");
    done += static_cast<std::size_t>(std::max<ssize_t>(written, 0));
  }
  return lseek(input->get(), 0, SEEK_SET) == 0 ? absl::OkStatus() : SystemError("lseek");
}

// Reads what is there; closes at the end. False if that is more than `limit` in all.
bool Drain(Descriptor* from, std::string* text, std::size_t limit) {
  char buffer[16384];
  while (from->open()) {
    const ssize_t size = read(from->get(), buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return true;
    if (size <= 0) {
      from->Close();
      return true;
    }
    if (text->size() + static_cast<std::size_t>(size) > limit) return false;
    text->append(buffer, static_cast<std::size_t>(size));
  }
  return true;
}

// A program that runs, and what it printed so far.
class Running {
 public:
  Running(pid_t pid, const Command& command) : pid_(pid), command_(command) {
    process_.Take(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  }

  // Reads until the program has ended, or its bounds are reached.
  absl::Status Await(Descriptor* output, Descriptor* errors) {
    const absl::Duration deadline = SystemClock().Elapsed() + command_.timeout;
    bool ended = false;
    while (!ended) {
      pollfd polled[] = {
          {process_.get(), POLLIN, 0}, {output->get(), POLLIN, 0}, {errors->get(), POLLIN, 0}};
      const absl::Duration left = deadline - SystemClock().Elapsed();
      if (left <= absl::ZeroDuration()) {
        return absl::DeadlineExceededError(
            absl::StrCat(Name(), " took longer than ", absl::FormatDuration(command_.timeout)));
      }
      // A second at most: had the process no descriptor, its end is noticed all the same.
      const int ready = poll(polled, 3, std::min<int>(1000, 1 + absl::ToInt64Milliseconds(left)));
      if (ready < 0 && errno != EINTR) return SystemError("poll");
      ended = process_.open() ? polled[0].revents != 0 : Collected(WNOHANG);
      if (!Drain(output, &result_.output, command_.max_output) ||
          !Drain(errors, &result_.errors, command_.max_output)) {
        return absl::ResourceExhaustedError(
            absl::StrCat(Name(), " printed more than ", command_.max_output, " bytes"));
      }
    }
    return absl::OkStatus();
  }

  // Ends the program, if it has not, and what it started.
  absl::StatusOr<CommandResult> End(absl::Status how) {
    if (!collected_) kill(-pid_, SIGKILL);
    const absl::Duration deadline = SystemClock().Elapsed() + kKillPatience;
    while (!Collected(WNOHANG) && SystemClock().Elapsed() < deadline) {
      pollfd polled = {process_.get(), POLLIN, 0};
      poll(&polled, 1, 10);
    }
    if (!how.ok()) return how;
    if (!WIFEXITED(status_)) return absl::AbortedError(absl::StrCat(Name(), " was killed"));
    result_.exit_code = WEXITSTATUS(status_);
    return std::move(result_);
  }

 private:
  bool Collected(int flags) {
    if (!collected_) collected_ = waitpid(pid_, &status_, flags) != 0;
    return collected_;
  }
  std::string Name() const {
    return std::filesystem::path(command_.arguments[0]).filename().string();
  }

  const pid_t pid_;
  const Command& command_;
  Descriptor process_;
  CommandResult result_;
  bool collected_ = false;
  int status_ = -1;
};

}  // namespace

absl::StatusOr<CommandResult> RunCommand(const Command& command) {
  Descriptor input, output, errors, output_end, errors_end;
  if (auto status = MakeInput(command.input, &input); !status.ok()) return status;
  if (!MakePipe(&output, &output_end) || !MakePipe(&errors, &errors_end)) {
    return SystemError("cannot make a pipe");
  }
  SpawnRequest spawn;
  spawn.arguments = command.arguments;
  spawn.environment = command.environment;
  spawn.streams = {input.get(), output_end.get(), errors_end.get()};
  const absl::StatusOr<pid_t> pid = Spawn(spawn);
  if (!pid.ok()) return pid.status();
  output_end.Close();
  errors_end.Close();
  Running running(*pid, command);
  return running.End(running.Await(&output, &errors));
}

absl::StatusOr<std::string> FindProgram(const std::string& name) {
  const char* const folders = std::getenv("PATH");
  for (const absl::string_view folder :
       absl::StrSplit(folders == nullptr ? "/usr/bin:/bin" : folders, ':', absl::SkipEmpty())) {
    const std::filesystem::path path = std::filesystem::path(std::string(folder)) / name;
    std::error_code ignored;
    if (access(path.c_str(), X_OK) == 0 && !std::filesystem::is_directory(path, ignored)) {
      return path.string();
    }
  }
  return absl::NotFoundError(absl::StrCat("there is no program ", name, " in the folders of PATH (",
                                          folders == nullptr ? "" : folders, ")"));
}

}  // namespace atelier::launch
