// A doorbell: rings when something happens to the pods of this server.
#ifndef ATELIER_SERVER_KUBERNETES_POD_WATCH_H_
#define ATELIER_SERVER_KUBERNETES_POD_WATCH_H_

#include <functional>
#include <string>
#include <thread>

#include "server/base/mutex.h"
#include "server/kubernetes/api.h"

namespace atelier::kubernetes {

// Thread-safe. Rings once for each Arm at most; a watch that ends without news does not ring, and
// neither does one that fails: who listens asks from time to time anyway.
class PodWatch {
 public:
  // `api` must live as long; it must be stopped before this is destroyed. `path` is that of a watch
  // without its resourceVersion. `ring` is called from a thread of its own.
  PodWatch(Api* api, std::string path, std::function<void()> ring);
  ~PodWatch();
  PodWatch(const PodWatch&) = delete;
  PodWatch& operator=(const PodWatch&) = delete;

  // Watches for what happens after a list of this resourceVersion, unless a watch is under way.
  void Arm(const std::string& resource_version);

 private:
  void Run();

  Api* const api_;
  const std::string path_;
  const std::function<void()> ring_;
  Mutex mutex_;
  CondVar changed_;
  std::string version_ ABSL_GUARDED_BY(mutex_);  // Empty: nothing to watch from.
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // Last.
};

}  // namespace atelier::kubernetes

#endif  // ATELIER_SERVER_KUBERNETES_POD_WATCH_H_
