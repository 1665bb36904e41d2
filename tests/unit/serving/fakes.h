// Engines that need no network, a registry that is a list, and a way to wait for answers.
#ifndef ATELIER_TESTS_UNIT_SERVING_FAKES_H_
#define ATELIER_TESTS_UNIT_SERVING_FAKES_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "server/serving/engine.h"
#include "server/serving/version_source.h"

namespace atelier::serving {

// Takes 1×1×2 images. The probability of class i of image n is the image's first pixel, plus i/10.
class FakeEngine final : public Engine {
 public:
  explicit FakeEngine(std::vector<std::string> classes = {"shirt", "bag", "boot", "coat"})
      : classes_(std::move(classes)) {}

  const models::ImageShape& input_shape() const override { return shape_; }
  const std::vector<std::string>& class_names() const override { return classes_; }

  std::int64_t memory_bytes() const override { return 8; }
  std::optional<double> temperature() const override { return fitted_temperature; }

  absl::StatusOr<std::vector<float>> Classify(absl::Span<const Pixels> parts) const override {
    if (++runs == 1) begun.Notify();
    if (gate != nullptr) gate->WaitForNotification();
    std::vector<float> answers;
    for (const Pixels& pixels : parts) {
      const std::size_t count = SizeOf(pixels) / 2;
      images += count;
      for (std::size_t image = 0; image < count; ++image) {
        const float first = std::visit(
            [&](const auto& span) { return static_cast<float>(span[2 * image]); }, pixels);
        for (std::size_t i = 0; i < classes_.size(); ++i) {
          answers.push_back(first + static_cast<float>(i) / 10);
        }
      }
    }
    if (broken) return absl::InternalError("the engine is broken");
    return answers;
  }

  std::optional<double> fitted_temperature;
  mutable std::atomic<int> runs = 0;
  mutable std::atomic<std::size_t> images = 0;
  std::atomic<bool> broken = false;
  mutable absl::Notification begun;    // The first run.
  absl::Notification* gate = nullptr;  // If set, computing waits for it.

 private:
  const models::ImageShape shape_ = {1, 1, 2};
  const std::vector<std::string> classes_;
};

// Thread-safe.
class FakeVersions final : public VersionSource {
 public:
  void Add(Version version) {
    absl::MutexLock lock(&mutex_);
    versions_[absl::StrCat(version.model, "@", version.number)] = std::move(version);
  }

  void Remove(const std::string& model, std::int64_t number) {
    absl::MutexLock lock(&mutex_);
    versions_.erase(absl::StrCat(model, "@", number));
  }
  // What the empty reference stands for.
  void SetLatest(std::int64_t number) {
    absl::MutexLock lock(&mutex_);
    latest_ = number;
  }

  absl::StatusOr<Version> Resolve(const std::string& model, const std::string& reference) override {
    absl::MutexLock lock(&mutex_);
    const auto found = versions_.find(
        absl::StrCat(model, "@", reference.empty() ? absl::StrCat(latest_) : reference));
    if (found == versions_.end()) return absl::NotFoundError("no such version");
    return found->second;
  }
  absl::StatusOr<std::vector<Version>> Versions(const std::string& model) override {
    absl::MutexLock lock(&mutex_);
    std::vector<Version> versions;
    for (const auto& [key, version] : versions_) {
      if (version.model == model) versions.push_back(version);
    }
    if (versions.empty()) return absl::NotFoundError("no such model");
    return versions;
  }
  // What brings archives; empty: nothing does.
  std::function<absl::Status(const Version& version)> fetch;

  bool MayFetch() const override { return fetch != nullptr; }
  absl::Status Fetch(const Version& version) override {
    return fetch ? fetch(version) : absl::OkStatus();
  }
  absl::StatusOr<std::vector<std::string>> Models() override {
    absl::MutexLock lock(&mutex_);
    std::set<std::string> models;
    for (const auto& [key, version] : versions_) models.insert(version.model);
    return std::vector<std::string>(models.begin(), models.end());
  }

 private:
  absl::Mutex mutex_;
  std::int64_t latest_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<std::string, Version> versions_ ABSL_GUARDED_BY(mutex_);
};

// One answer that comes later. Thread-safe; copies are the same answer.
template <typename T>
class Later {
 public:
  void Set(T value) const {
    absl::MutexLock lock(&state_->mutex);
    state_->value = std::make_unique<T>(std::move(value));
  }
  T Wait() const {
    absl::MutexLock lock(&state_->mutex);
    state_->mutex.Await(absl::Condition(
        +[](std::unique_ptr<T>* value) { return *value != nullptr; }, &state_->value));
    return *state_->value;
  }
  bool done() const {
    absl::MutexLock lock(&state_->mutex);
    return state_->value != nullptr;
  }

 private:
  struct State {
    absl::Mutex mutex;
    std::unique_ptr<T> value;
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace atelier::serving

#endif  // ATELIER_TESTS_UNIT_SERVING_FAKES_H_
