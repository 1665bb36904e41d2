// A folder of a test's own, removed with everything in it.
#ifndef ATELIER_TESTS_UNIT_MODELS_TEMPORARY_FOLDER_H_
#define ATELIER_TESTS_UNIT_MODELS_TEMPORARY_FOLDER_H_

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "gtest/gtest.h"

namespace atelier::models {

class TemporaryFolder {
 public:
  TemporaryFolder() : path_(testing::TempDir() + "/atelier-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) ADD_FAILURE() << "no temporary folder";
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }
  void Write(const std::string& name, const std::string& bytes) const {
    std::ofstream(File(name), std::ios::binary) << bytes;
  }
  std::string Read(const std::string& name) const {
    std::ostringstream bytes;
    bytes << std::ifstream(File(name), std::ios::binary).rdbuf();
    return bytes.str();
  }

 private:
  std::string path_;
};

}  // namespace atelier::models

#endif  // ATELIER_TESTS_UNIT_MODELS_TEMPORARY_FOLDER_H_
