// While an Interrupt exists, Ctrl-C only sets a flag that loops check. A second Ctrl-C ends
// the process as usual. At most one exists at a time; Requested may be called by any thread.
#ifndef ATELIER_CLIENT_TERMINAL_INTERRUPT_H_
#define ATELIER_CLIENT_TERMINAL_INTERRUPT_H_

#include <csignal>

namespace atelier::client {

class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // Whether Ctrl-C was pressed since the Interrupt was made.
  static bool Requested();

 private:
  struct sigaction previous_ {};
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_TERMINAL_INTERRUPT_H_
