#include "server/kubernetes/pod_watch.h"

#include <pthread.h>

#include <utility>

#include "server/kubernetes/json_fields.h"

namespace atelier::kubernetes {
namespace {

// Bookmarks only say that nothing happened.
bool IsNews(absl::string_view line) {
  const auto event = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  return TextOf(event, "/type") != "BOOKMARK";
}

}  // namespace

PodWatch::PodWatch(Api* api, std::string path, std::function<void()> ring)
    : api_(api), path_(std::move(path)), ring_(std::move(ring)), thread_([this] { Run(); }) {}

PodWatch::~PodWatch() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
}

void PodWatch::Arm(const std::string& resource_version) {
  MutexLock lock(&mutex_);
  version_ = resource_version;
  changed_.NotifyAll();
}

void PodWatch::Run() {
  pthread_setname_np(pthread_self(), "pod-watch");
  while (true) {
    std::string version;
    {
      MutexLock lock(&mutex_);
      while (!stopping_ && version_.empty()) changed_.Wait(&mutex_);
      if (stopping_) return;
      version = std::exchange(version_, "");
    }
    bool news = false;
    const absl::Status watched = api_->Watch(path_ + version, [&news](absl::string_view line) {
      news = IsNews(line);
      return !news;
    });
    if (watched.ok() && news) ring_();
  }
}

}  // namespace atelier::kubernetes
