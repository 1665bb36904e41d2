// Preloaded into a server or a worker (LD_PRELOAD), makes what it asks of the C library go wrong:
// the n-th call that writes to the data directory, or the n-th allocation, fails with an error, or
// ends the process before it is made; the wall clock is set to another time. A page that this
// library maps says what and when, and is told what came of it; preloaded.py maps it as well.
//   ATELIER_FAULT_FILE    the file of that page
//   ATELIER_FAULT_FOLDER  the data directory, absolute, without links; unset: writes do not count
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

enum Counted : std::int64_t { kNothing, kWrites, kSyncs, kAllocations };

// preloaded.py has it, too.
struct Control {
  std::atomic<std::int64_t> counted;   // The calls that count: of Counted.
  std::atomic<std::int64_t> calls;     // Made so far.
  std::atomic<std::int64_t> target;    // The one that goes wrong, from 1; 0: none.
  std::atomic<std::int64_t> error;     // What it fails with; 0 ends the process.
  std::atomic<std::int64_t> shift;     // Nanoseconds by which the wall clock is wrong.
  std::atomic<std::int64_t> readings;  // Of the wall clock so far.
  char hit[4048];                      // What went wrong: "pwrite64 /data/atelier.db-wal".
};
static_assert(sizeof(Control) == 4096);

Control* control = nullptr;
const char* folder = nullptr;

[[gnu::constructor]] void Begin() {
  folder = getenv("ATELIER_FAULT_FOLDER");
  const char* path = getenv("ATELIER_FAULT_FILE");
  if (path == nullptr) return;
  void* first;
  backtrace(&first, 1);  // The first one loads a library.
  const int file = open(path, O_RDWR | O_CLOEXEC);
  void* mapped = mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (mapped == MAP_FAILED) abort();
  control = static_cast<Control*>(mapped);
}

// The C library's own function of that name, found once. A static without a guard, since guards
// themselves call syscall.
void* Real(std::atomic<void*>* known, const char* name) {
  if (*known == nullptr) *known = dlsym(RTLD_NEXT, name);
  return *known;
}
#define REAL(name)                 \
  static std::atomic<void*> known; \
  auto* const real = reinterpret_cast<decltype(&name)>(Real(&known, #name))

// Whether this call, one of those that count, is the one; says so in `hit`.
bool IsTarget(const char* call, const char* what) {
  if (++control->calls != control->target) return false;
  snprintf(control->hit, sizeof(control->hit), "%s %s", call, what);
  if (control->error == 0) {
    kill(getpid(), SIGKILL);
    pause();
  }
  errno = static_cast<int>(control->error);
  return true;
}

// --- Writes ---

bool InFolder(const char* path) {
  const size_t size = strlen(folder);
  return strncmp(path, folder, size) == 0 && (path[size] == '/' || path[size] == '\0');
}

bool Counts(std::string_view call) {
  if (control == nullptr || folder == nullptr) return false;
  return control->counted == kWrites ||
         (control->counted == kSyncs && (call == "fsync" || call == "fdatasync"));
}

// Whether this call fails; `errno` is set then.
bool GoesWrong(const char* call, const char* path) {
  return Counts(call) && InFolder(path) && IsTarget(call, path);
}

bool GoesWrong(const char* call, int descriptor) {
  if (!Counts(call)) return false;
  char name[64];
  snprintf(name, sizeof(name), "/proc/self/fd/%d", descriptor);
  char path[4096];
  const ssize_t size = readlink(name, path, sizeof(path) - 1);
  if (size < 0) return false;
  path[size] = '\0';
  return InFolder(path) && IsTarget(call, path);
}

// --- Allocations ---

// Adds to `hit` who called: the libraries' names with the offsets of the return addresses.
void AddCallers() {
  void* frames[32];
  const int count = backtrace(frames, 32);
  size_t size = strlen(control->hit);
  for (int i = 3; i < count; ++i) {
    Dl_info found;
    if (dladdr(frames[i], &found) == 0) continue;
    const char* slash = strrchr(found.dli_fname, '/');
    size += snprintf(control->hit + size, sizeof(control->hit) - size, " %s+0x%zx(%s)",
                     slash == nullptr ? found.dli_fname : slash + 1,
                     static_cast<char*>(frames[i]) - static_cast<char*>(found.dli_fbase),
                     found.dli_sname == nullptr ? "" : found.dli_sname);
    if (size >= sizeof(control->hit)) return;
  }
}

bool AllocationFails(const char* call, size_t bytes) {
  if (control == nullptr || control->counted != kAllocations) return false;
  char what[32];
  snprintf(what, sizeof(what), "%zu", bytes);
  if (!IsTarget(call, what)) return false;
  AddCallers();
  errno = static_cast<int>(control->error);
  return true;
}

// --- The clock ---

constexpr std::int64_t kSecond = 1'000'000'000;

std::int64_t ToNanoseconds(const timespec& time) { return time.tv_sec * kSecond + time.tv_nsec; }
timespec FromNanoseconds(std::int64_t time) { return {time / kSecond, time % kSecond}; }

// The wall clock's reading as this process is to see it.
std::int64_t Shifted(std::int64_t nanoseconds) {
  if (control == nullptr) return nanoseconds;
  ++control->readings;
  return nanoseconds + control->shift;
}

int RealTime(clockid_t clock, timespec* time) {
  REAL(clock_gettime);
  return real(clock, time);
}

// Lets `wait`, which says whether it timed out, wait until a time by the shifted clock: in short
// spans, because the clock may be set meanwhile, which the kernel would notice.
template <typename Wait>
void WaitUntil(const timespec& until, Wait wait) {
  constexpr std::int64_t kSpan = kSecond / 50;
  while (true) {
    timespec now;
    RealTime(CLOCK_REALTIME, &now);
    const std::int64_t left = ToNanoseconds(until) - control->shift - ToNanoseconds(now);
    const std::int64_t span = std::clamp<std::int64_t>(left, 0, kSpan);
    const timespec end = FromNanoseconds(ToNanoseconds(now) + span);
    if (!wait(end) || left <= kSpan) return;
  }
}

}  // namespace

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

// The C library's own, under the names that need no dlsym, which allocates.
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* old, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

void* malloc(size_t size) noexcept {
  return AllocationFails("malloc", size) ? nullptr : __libc_malloc(size);
}

void* calloc(size_t count, size_t size) noexcept {
  return AllocationFails("calloc", count * size) ? nullptr : __libc_calloc(count, size);
}

void* realloc(void* old, size_t size) noexcept {
  return AllocationFails("realloc", size) ? nullptr : __libc_realloc(old, size);
}

void* memalign(size_t alignment, size_t size) noexcept {
  return AllocationFails("memalign", size) ? nullptr : __libc_memalign(alignment, size);
}

void* aligned_alloc(size_t alignment, size_t size) noexcept {
  return AllocationFails("aligned_alloc", size) ? nullptr : __libc_memalign(alignment, size);
}

int posix_memalign(void** result, size_t alignment, size_t size) noexcept {
  if (AllocationFails("posix_memalign", size)) return ENOMEM;
  *result = __libc_memalign(alignment, size);
  return *result == nullptr ? ENOMEM : 0;
}

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const int answer = RealTime(clock, time);
  if (answer == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    *time = FromNanoseconds(Shifted(ToNanoseconds(*time)));
  }
  return answer;
}

int gettimeofday(timeval* time, void* /*zone*/) noexcept {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  *time = {now.tv_sec, now.tv_nsec / 1000};
  return 0;
}

time_t time(time_t* result) noexcept {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (result != nullptr) *result = now.tv_sec;
  return now.tv_sec;
}

// Abseil waits by it, until times of the wall clock.
long syscall(long number, ...) noexcept {
  REAL(syscall);
  long given[6];
  va_list arguments;
  va_start(arguments, number);
  for (long& argument : given) argument = va_arg(arguments, long);
  va_end(arguments);
  const auto call = [&](long timeout) {
    return real(number, given[0], given[1], given[2], timeout, given[4], given[5]);
  };
  if (control == nullptr || number != SYS_futex || (given[1] & FUTEX_CLOCK_REALTIME) == 0 ||
      given[3] == 0) {
    return call(given[3]);
  }
  long answer = 0;
  WaitUntil(*reinterpret_cast<const timespec*>(given[3]), [&](const timespec& end) {
    answer = call(reinterpret_cast<long>(&end));
    return answer == -1 && errno == ETIMEDOUT;
  });
  return answer;
}

}  // extern "C"
