// Backups, as `atelierd --restore` reads them.
#include <filesystem>

#include "server/upkeep/restore.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto& scratch = atelier::fuzz::Scratch();
  const std::string directory = scratch.path("restored");
  (void)atelier::upkeep::Restore(scratch.Write("input", data, size), directory);
  // Nothing of it may be beside the directory.
  for (const auto& entry : std::filesystem::directory_iterator(scratch.path(""))) {
    const std::string name = entry.path().filename();
    if (name != "input" && name != "restored") std::abort();
  }
  std::filesystem::remove_all(directory);
  return 0;
}
