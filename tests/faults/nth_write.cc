// Preloaded into a server (LD_PRELOAD), makes one of its writing calls go wrong: the n-th that
// concerns its data directory fails with an error, or ends the process before it is made. A file
// that this library maps says which and how, and is told how many there were; the test maps it as
// well.
//   ATELIER_FAULT_FILE    that file, as large as Control
//   ATELIER_FAULT_FOLDER  the data directory, absolute, without links
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>

namespace {

// test_nth_write.py has it, too.
struct Control {
  std::atomic<std::int64_t> calls;       // Made so far.
  std::atomic<std::int64_t> target;      // The one that goes wrong, from 1; 0: none.
  std::atomic<std::int64_t> error;       // What it fails with; 0 ends the process.
  std::atomic<std::int64_t> syncs_only;  // Whether only fsync and fdatasync count.
  char hit[480];                         // Which it was: "pwrite64 /data/atelier.db-wal".
};

Control* control = nullptr;
const char* folder = nullptr;

[[gnu::constructor]] void Begin() {
  folder = getenv("ATELIER_FAULT_FOLDER");
  const char* path = getenv("ATELIER_FAULT_FILE");
  if (folder == nullptr || path == nullptr) return;
  const int file = open(path, O_RDWR | O_CLOEXEC);
  void* mapped = mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (mapped == MAP_FAILED) abort();
  control = static_cast<Control*>(mapped);
}

bool InFolder(const char* path) {
  const size_t size = strlen(folder);
  return strncmp(path, folder, size) == 0 && (path[size] == '/' || path[size] == '\0');
}

// Whether this call goes wrong; with an error, `errno` is set.
bool GoesWrong(const char* call, const char* path) {
  if (control == nullptr || !InFolder(path)) return false;
  const bool sync = strcmp(call, "fsync") == 0 || strcmp(call, "fdatasync") == 0;
  if (control->syncs_only != 0 && !sync) return false;
  if (++control->calls != control->target) return false;
  snprintf(control->hit, sizeof(control->hit), "%s %s", call, path);
  if (control->error == 0) {
    kill(getpid(), SIGKILL);
    pause();
  }
  errno = static_cast<int>(control->error);
  return true;
}

bool GoesWrong(const char* call, int descriptor) {
  if (control == nullptr) return false;
  char name[64];
  snprintf(name, sizeof(name), "/proc/self/fd/%d", descriptor);
  char path[4096];
  const ssize_t size = readlink(name, path, sizeof(path) - 1);
  if (size < 0) return false;
  path[size] = '\0';
  return GoesWrong(call, path);
}

template <typename Function>
Function* Real(Function* /*own*/, const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

// The C library's own of that name, found once.
#define REAL(name) static auto* const real = Real(&name, #name)

extern "C" {

ssize_t write(int descriptor, const void* bytes, size_t size) {
  REAL(write);
  return GoesWrong("write", descriptor) ? -1 : real(descriptor, bytes, size);
}

ssize_t writev(int descriptor, const iovec* pieces, int count) {
  REAL(writev);
  return GoesWrong("writev", descriptor) ? -1 : real(descriptor, pieces, count);
}

ssize_t pwrite(int descriptor, const void* bytes, size_t size, off_t offset) {
  REAL(pwrite);
  return GoesWrong("pwrite", descriptor) ? -1 : real(descriptor, bytes, size, offset);
}

ssize_t pwrite64(int descriptor, const void* bytes, size_t size, off64_t offset) {
  REAL(pwrite64);
  return GoesWrong("pwrite64", descriptor) ? -1 : real(descriptor, bytes, size, offset);
}

int ftruncate(int descriptor, off_t size) noexcept {
  REAL(ftruncate);
  return GoesWrong("ftruncate", descriptor) ? -1 : real(descriptor, size);
}

int ftruncate64(int descriptor, off64_t size) noexcept {
  REAL(ftruncate64);
  return GoesWrong("ftruncate64", descriptor) ? -1 : real(descriptor, size);
}

int fsync(int descriptor) {
  REAL(fsync);
  return GoesWrong("fsync", descriptor) ? -1 : real(descriptor);
}

int fdatasync(int descriptor) {
  REAL(fdatasync);
  return GoesWrong("fdatasync", descriptor) ? -1 : real(descriptor);
}

int rename(const char* from, const char* to) noexcept {
  REAL(rename);
  return GoesWrong("rename", to) ? -1 : real(from, to);
}

}  // extern "C"
