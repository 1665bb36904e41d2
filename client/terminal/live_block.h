// Lines that are redrawn in place, at the end of what was printed. Used by one thread.
#ifndef ATELIER_CLIENT_TERMINAL_LIVE_BLOCK_H_
#define ATELIER_CLIENT_TERMINAL_LIVE_BLOCK_H_

#include <string>
#include <vector>

#include "client/terminal/terminal.h"

namespace atelier::client {

class LiveBlock {
 public:
  // `terminal` must be interactive and outlive it.
  explicit LiveBlock(const Terminal& terminal) : terminal_(terminal) {}

  // Shows these lines in place of the last ones; what does not fit the terminal is left out.
  void Draw(std::vector<std::string> lines);

  // Takes the lines away; what is printed next stands in their place.
  void Clear();

 private:
  const Terminal& terminal_;
  std::size_t drawn_ = 0;  // Lines on the terminal.
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_TERMINAL_LIVE_BLOCK_H_
