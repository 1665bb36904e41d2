// Waiting for what another thread brings about, with a bound: a test whose condition never comes
// fails and says so instead of hanging. How long it took is nothing that a test may look at.
#ifndef ATELIER_TESTS_UNIT_WAIT_H_
#define ATELIER_TESTS_UNIT_WAIT_H_

#include <chrono>
#include <thread>

namespace atelier {

// True as soon as `condition` holds; false if it has not come within a minute, which is far more
// than any machine takes.
template <typename Condition>
[[nodiscard]] bool WaitFor(Condition condition) {
  const auto bound = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > bound) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace atelier

#endif  // ATELIER_TESTS_UNIT_WAIT_H_
