#include "models/base/thread_team.h"

#include <pthread.h>

#include <string>
#include <utility>

namespace atelier::models {

ThreadTeam::ThreadTeam(int64_t threads, std::function<void()> start) {
  try {
    for (int64_t i = 1; i < threads; ++i) {
      helpers_.emplace_back([this, start] { Help(start); });
      // 15 characters at most.
      const std::string name = "compute-" + std::to_string(i);
      pthread_setname_np(helpers_.back().native_handle(), name.c_str());
    }
  } catch (...) {
    // The system may refuse another thread; those that run must not outlive the team.
    EndHelpers();
    throw;
  }
}

ThreadTeam::~ThreadTeam() { EndHelpers(); }

void ThreadTeam::EndHelpers() {
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
  }
  for (std::thread& helper : helpers_) helper.join();
}

void ThreadTeam::Help(const std::function<void()>& start) {
  if (start) start();
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &ThreadTeam::WorkOrEnd));
      if (ending_) return;
    }
    Work();
  }
}

void ThreadTeam::Work() {
  absl::MutexLock lock(&mutex_);
  while (piece_ != nullptr && next_ < count_) {
    const int64_t number = next_++;
    const std::function<void(int64_t)>& piece = *piece_;
    ++running_;
    std::exception_ptr failure;
    mutex_.Unlock();
    try {
      piece(number);
    } catch (...) {
      failure = std::current_exception();
    }
    mutex_.Lock();
    --running_;
    if (failure == nullptr) continue;
    if (failure_ == nullptr || number < failed_) {
      failure_ = failure;
      failed_ = number;
    }
    next_ = count_;
  }
}

void ThreadTeam::Run(int64_t count, const std::function<void(int64_t)>& piece) {
  {
    absl::MutexLock lock(&mutex_);
    piece_ = &piece;
    count_ = count;
    next_ = 0;
    failure_ = nullptr;
  }
  Work();
  std::exception_ptr failure;
  {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(this, &ThreadTeam::Done));
    piece_ = nullptr;
    failure = std::exchange(failure_, nullptr);
  }
  if (failure != nullptr) std::rethrow_exception(failure);
}

}  // namespace atelier::models
