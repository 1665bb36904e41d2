// The files that a process sees, and the machines that it dials, by Linux' Landlock: whatever is
// not named here can neither be read nor written nor listed, whoever owns it. To be called by one
// thread.
#ifndef ATELIER_SERVER_SANDBOX_VISIBLE_FILES_H_
#define ATELIER_SERVER_SANDBOX_VISIBLE_FILES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace atelier::sandbox {

// Paths that are not there are left out. What every program reads is added: libraries (/usr, /lib,
// /opt, the folder of the program and the lib beside it, LD_LIBRARY_PATH), /proc, /sys, and of /etc
// what the loader and OpenSSL need.
struct VisibleFiles {
  // Files, and folders with all that is below them and what their symbolic links name.
  std::vector<std::string> reads = {};
  // Folders in which files and folders may be made, changed, renamed and removed as well. Neither
  // links nor devices can be made there.
  std::vector<std::string> writes = {};
  // Folders below which empty folders may be removed, and nothing else.
  std::vector<std::string> empties = {};
  // The port of the only server that may be dialled by TCP; 0: none. With it come the files of /etc
  // by which names of machines are looked up.
  int tcp_port = 0;
  // NVIDIA's devices, too.
  bool gpu = false;
};

// Landlock's version here; 0 where the kernel has none or it is turned off.
int LandlockAbi();

// Restricts all threads, those that there are and those to come, and answers with Landlock's
// version: files need 1, cutting them off 3, TCP 4, calls to devices 5, abstract sockets 6; a
// kernel with a lower one leaves that free. FAILED_PRECONDITION if some thread or nothing is
// restricted.
absl::StatusOr<int> RestrictFiles(const VisibleFiles& files);

}  // namespace atelier::sandbox

#endif  // ATELIER_SERVER_SANDBOX_VISIBLE_FILES_H_
