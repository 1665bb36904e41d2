// The command line as a function: parses the arguments, runs the command, reports its error. Used
// by one thread.
#ifndef ATELIER_CLIENT_COMMAND_LINE_H_
#define ATELIER_CLIENT_COMMAND_LINE_H_

#include <functional>
#include <string>
#include <vector>

#include "client/terminal/terminal.h"

namespace atelier::client {

// `arguments` are those after the program's name. `interrupted` tells whether Ctrl-C was pressed.
// Returns the exit code.
int RunCommandLine(const std::vector<std::string>& arguments, const Terminal& terminal,
                   std::function<bool()> interrupted);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMMAND_LINE_H_
