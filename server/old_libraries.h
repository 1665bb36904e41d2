// Libraries with known holes. A package demands the mended ones, but nothing else does.
#ifndef ATELIER_SERVER_OLD_LIBRARIES_H_
#define ATELIER_SERVER_OLD_LIBRARIES_H_

#include <string>
#include <vector>

#include "server/launch/command.h"

namespace atelier::server {

// A sentence for each installed library that is older than what this program was built to demand
// (deploy/debian/mended_libraries.cmake), by dpkg. Empty where there is no dpkg, or another
// distribution's. Waits for a few processes to end.
std::vector<std::string> OldLibraries(const launch::CommandRunner& run = launch::RunCommand);

}  // namespace atelier::server

#endif  // ATELIER_SERVER_OLD_LIBRARIES_H_
