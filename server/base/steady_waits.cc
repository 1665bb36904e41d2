// Waits that last as long as they should, however the wall clock is set. Abseil, and gRPC by it,
// wait until times of the wall clock: were that set back by a day, a wait of a second would last
// for one. They do so by the C library's `syscall`. Programs that this file is part of have one of
// their own, which lets such waits end by the monotonic clock.
#include <dlfcn.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdarg>
#include <cstdint>

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

std::int64_t ToNanoseconds(const timespec& time) { return time.tv_sec * kSecond + time.tv_nsec; }

std::int64_t Now(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return ToNanoseconds(now);
}

// The monotonic clock's time at which the wall clock shows `time`, unless it is set; never
// negative.
timespec ToMonotonic(const timespec& time) {
  const std::int64_t left = ToNanoseconds(time) - Now(CLOCK_REALTIME);
  const std::int64_t until = left < 0 ? 0 : Now(CLOCK_MONOTONIC) + left;
  return {until / kSecond, until % kSecond};
}

}  // namespace

// Reads six arguments, as the C library does, however many were given: what is read besides is the
// caller's stack, which the address sanitizer would refuse.
extern "C" [[gnu::no_sanitize_address]] long syscall(long number, ...) noexcept {
  // Without a guard, which would call syscall.
  static std::atomic<void*> next{nullptr};
  if (next == nullptr) next = dlsym(RTLD_NEXT, "syscall");
  long given[6];
  va_list arguments;
  va_start(arguments, number);
  for (long& argument : given) argument = va_arg(arguments, long);
  va_end(arguments);
  timespec until;
  if (number == SYS_futex && (given[1] & FUTEX_CLOCK_REALTIME) != 0 &&
      (given[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET && given[3] != 0) {
    until = ToMonotonic(*reinterpret_cast<const timespec*>(given[3]));
    given[1] &= ~long{FUTEX_CLOCK_REALTIME};
    given[3] = reinterpret_cast<long>(&until);
  }
  return reinterpret_cast<decltype(&syscall)>(next.load())(number, given[0], given[1], given[2],
                                                           given[3], given[4], given[5]);
}
