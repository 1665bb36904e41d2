#include "models/network/torch_library.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>

#include <cerrno>
#include <filesystem>
#include <stdexcept>

#include "absl/strings/str_cat.h"

namespace atelier::models {
namespace {

// Of the open file; -1 if it is not held.
int held = -1;

// Where it lies from a program in the build tree as from one that is installed.
std::string LibraryPath() {
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe");
  return program.parent_path().parent_path() / "lib/atelier/libatelier_torch.so";
}

const TorchLibrary& Load() {
  const std::string path = LibraryPath();
  const std::string file = held < 0 ? path : absl::StrCat("/proc/self/fd/", held);
  // Never closed: LibTorch has threads and objects of the thread.
  void* const library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* const entry = library == nullptr ? nullptr : dlsym(library, kTorchLibraryEntry);
  if (entry == nullptr) {
    throw std::runtime_error(
        absl::StrCat("cannot load ", path, ", by which Atelier uses LibTorch: ", dlerror()));
  }
  return *reinterpret_cast<TorchLibraryEntry>(entry)();
}

}  // namespace

const TorchLibrary& TorchLibrary::Get() {
  // Where it fails, the next call tries again.
  static const TorchLibrary& library = Load();
  return library;
}

absl::Status TorchLibrary::Hold() {
  const std::string path = LibraryPath();
  held = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (held >= 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("cannot open ", path, ", by which Atelier uses LibTorch: ", strerror(errno),
                   "; it belongs to the server"));
}

}  // namespace atelier::models
