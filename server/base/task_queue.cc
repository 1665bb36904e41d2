#include "server/base/task_queue.h"

#include <pthread.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace atelier {

TaskQueue::TaskQueue(const Options& options) : capacity_(options.capacity) {
  for (int i = 0; i < options.threads; ++i) {
    threads_.emplace_back([this] { Run(); });
    const std::string name = absl::StrCat(options.name.substr(0, 12), "-", i);
    pthread_setname_np(threads_.back().native_handle(), name.substr(0, 15).c_str());
  }
}

TaskQueue::~TaskQueue() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
  }
  changed_.NotifyAll();
  for (std::thread& thread : threads_) thread.join();
}

bool TaskQueue::TryAdd(std::function<void()> task) {
  {
    MutexLock lock(&mutex_);
    if (tasks_.size() >= capacity_) return false;
    tasks_.push_back(std::move(task));
  }
  changed_.NotifyOne();
  return true;
}

void TaskQueue::Run() {
  while (true) {
    std::function<void()> task;
    {
      MutexLock lock(&mutex_);
      while (tasks_.empty() && !ending_) changed_.Wait(&mutex_);
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace atelier
