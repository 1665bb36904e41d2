// Whatever people push as a data set: archives, NumPy arrays, CIFAR's files, CSV, pictures. The
// first byte chooses the name that the file comes under.
#include <filesystem>

#include "models/data/dataset_file.h"
#include "models/import/importer.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace atelier::models;
  if (size == 0) return 0;
  constexpr const char* kNames[] = {"a.zip", "a.tar", "a.tar.gz", "a.npz", "a.npy", "a.csv"};
  const std::string name = kNames[data[0] % std::size(kNames)];
  const auto& scratch = atelier::fuzz::Scratch();
  const std::string source = scratch.Write("source", data + 1, size - 1);
  const std::string output = scratch.path("output");
  ImportOptions options;
  options.test_fraction = 0.5;
  ImportRun run;
  run.max_bytes = 1 << 22;
  const auto report = ImportDataset(source, name, options, output, run);
  if (report.ok()) {
    const auto file = DatasetFile::Open(output);
    if (!file.ok() || !file->Verify(nullptr).ok()) std::abort();
  }
  std::filesystem::remove(output);
  return 0;
}
