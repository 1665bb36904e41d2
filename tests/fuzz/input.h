// What a fuzz target is given, in the forms that the product reads.
#ifndef ATELIER_TESTS_FUZZ_INPUT_H_
#define ATELIER_TESTS_FUZZ_INPUT_H_

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/string_view.h"

// libFuzzer's entry: reads one input and answers 0. Whatever the input is, it must not crash, hang,
// or read or write what is not its own.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace atelier::fuzz {

inline absl::string_view Text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A folder of this process, gone with it.
class ScratchFolder {
 public:
  ScratchFolder()
      : path_(std::filesystem::temp_directory_path() /
              ("atelier-fuzz-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  // Writes a file there and answers with its path.
  std::string Write(const std::string& name, const uint8_t* data, size_t size) const {
    const std::filesystem::path path = path_ / name;
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
    file.close();
    if (!file) std::abort();
    return path;
  }
  std::string path(const std::string& name) const { return path_ / name; }

 private:
  const std::filesystem::path path_;
};

// The same for all inputs of a process.
inline const ScratchFolder& Scratch() {
  static const ScratchFolder folder;
  return folder;
}

}  // namespace atelier::fuzz

#endif  // ATELIER_TESTS_FUZZ_INPUT_H_
