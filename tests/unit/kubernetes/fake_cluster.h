// A Kubernetes in memory: what its API server answers. Pods change when the test says so.
#ifndef ATELIER_TESTS_UNIT_KUBERNETES_FAKE_CLUSTER_H_
#define ATELIER_TESTS_UNIT_KUBERNETES_FAKE_CLUSTER_H_

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/base/mutex.h"
#include "server/kubernetes/api.h"
#include "server/kubernetes/json_fields.h"

namespace atelier::kubernetes {

// Thread-safe.
class FakeCluster {
 public:
  using json = nlohmann::json;

  struct Made {
    std::string method, path;
    json body;
  };

  // An Api to be given away; the cluster must outlive it.
  std::unique_ptr<Api> api() { return std::make_unique<FakeApi>(this); }

  // What calls of this method and path's beginning answer with, until it is set to nothing.
  void Answer(const std::string& method, const std::string& path,
              std::optional<absl::StatusOr<json>> answer) {
    MutexLock lock(&mutex_);
    if (answer.has_value()) {
      answers_.insert_or_assign(method + " " + path, *std::move(answer));
    } else {
      answers_.erase(method + " " + path);
    }
  }
  // The next Job is created, but the answer is lost.
  void LoseNextAnswer() {
    MutexLock lock(&mutex_);
    lose_answer_ = true;
  }
  // Puts a pod with this status beside a Job, or in place of the one that is there.
  void SetPod(const std::string& job, const json& status, const std::string& node = "n1",
              bool deleted = false) {
    Put(job, "", status, node, deleted);
  }
  // The same for one of the pods of an Indexed Job.
  void SetRank(const std::string& job, int index, const json& status, const std::string& node,
               bool deleted = false) {
    Put(job, absl::StrCat(index), status, node, deleted);
  }
  void RemoveRank(const std::string& job, int index) {
    MutexLock lock(&mutex_);
    pods_.erase(absl::StrCat(job, "/", index));
  }
  void Edit(const std::string& job, const json& patch) {
    MutexLock lock(&mutex_);
    jobs_[job].merge_patch(patch);
  }
  // The Job's name of an attempt's launch; empty if there is none, the last if there are more.
  std::string JobOf(const std::string& launch) const {
    MutexLock lock(&mutex_);
    std::string found;
    for (const auto& [name, job] : jobs_) {
      if (TextOf(job, "/metadata/annotations/atelier.launch") == launch) found = name;
    }
    return found;
  }
  std::size_t jobs() const {
    MutexLock lock(&mutex_);
    return jobs_.size();
  }
  std::vector<Made> calls(const std::string& method, const std::string& part) const {
    MutexLock lock(&mutex_);
    std::vector<Made> found;
    for (const Made& call : calls_) {
      if (call.method == method && absl::StrContains(call.path, part)) found.push_back(call);
    }
    return found;
  }
  // Something happens to a pod.
  void Happen() {
    MutexLock lock(&mutex_);
    ++happened_;
    changed_.NotifyAll();
  }

 private:
  class FakeApi final : public Api {
   public:
    explicit FakeApi(FakeCluster* cluster) : cluster_(cluster) {}
    absl::StatusOr<json> Call(absl::string_view method, const std::string& path,
                              const json& body) override {
      return cluster_->Call(std::string(method), path, body);
    }
    absl::Status Watch(const std::string& path,
                       absl::FunctionRef<bool(absl::string_view)> line) override {
      return cluster_->Watch(path, line);
    }
    void Stop() override {
      MutexLock lock(&cluster_->mutex_);
      cluster_->stopped_ = true;
      cluster_->changed_.NotifyAll();
    }

   private:
    FakeCluster* const cluster_;
  };

  void Put(const std::string& job, const std::string& index, const json& status,
           const std::string& node, bool deleted) {
    MutexLock lock(&mutex_);
    json pod = {
        {"metadata",
         {{"name", job + "-x"}, {"ownerReferences", json::array({{{"uid", "uid-" + job}}})}}},
        {"spec", {{"nodeName", node}}},
        {"status", status}};
    if (!index.empty()) {
      pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] = index;
    }
    if (deleted) pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
    pods_.insert_or_assign(absl::StrCat(job, "/", index), std::move(pod));
  }

  absl::StatusOr<json> Call(const std::string& method, const std::string& path, const json& body) {
    MutexLock lock(&mutex_);
    calls_.push_back({method, path, body});
    for (const auto& [key, answer] : answers_) {
      if (absl::StartsWith(method + " " + path, key)) return answer;
    }
    const std::vector<std::string> parts = absl::StrSplit(path, absl::ByAnyChar("/?"));
    if (method == "POST" && absl::EndsWith(path, "/jobs")) return Create(body);
    if (method == "POST") return json::object();
    if (method == "DELETE" && absl::StrContains(path, "/pods?")) return json::object();
    if (method == "DELETE") return Delete(parts.at(parts.size() - 2));
    if (absl::StrContains(path, "/events?")) return json{{"items", json::array()}};
    return List(absl::StrContains(path, "/jobs?") ? jobs_ : pods_);
  }

  absl::StatusOr<json> Create(const json& body) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::string name = TextOf(body, "/metadata/name");
    json job = body;
    job["metadata"]["uid"] = "uid-" + name;
    jobs_[name] = job;
    if (std::exchange(lose_answer_, false)) return absl::UnavailableError("timeout");
    return job;
  }
  absl::StatusOr<json> Delete(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::erase_if(pods_,
                  [&name](const auto& pod) { return absl::StartsWith(pod.first, name + "/"); });
    if (jobs_.erase(name) == 0) return absl::NotFoundError("no such job");
    return json::object();
  }
  static json List(const std::map<std::string, json>& items) {
    json list = {{"metadata", {{"resourceVersion", "7"}}}, {"items", json::array()}};
    for (const auto& [name, item] : items) list["items"].push_back(item);
    return list;
  }
  absl::Status Watch(const std::string& path, absl::FunctionRef<bool(absl::string_view)> line) {
    MutexLock lock(&mutex_);
    calls_.push_back({"WATCH", path, nullptr});
    if (!line(R"({"type":"BOOKMARK"})")) return absl::OkStatus();
    while (happened_ == 0 && !stopped_) changed_.Wait(&mutex_);
    if (stopped_) return absl::UnavailableError("stopping");
    --happened_;
    line(R"({"type":"MODIFIED"})");
    return absl::OkStatus();
  }

  mutable Mutex mutex_;
  CondVar changed_;
  std::map<std::string, json> jobs_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, json> pods_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, absl::StatusOr<json>> answers_ ABSL_GUARDED_BY(mutex_);
  std::vector<Made> calls_ ABSL_GUARDED_BY(mutex_);
  bool lose_answer_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  int happened_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace atelier::kubernetes

#endif  // ATELIER_TESTS_UNIT_KUBERNETES_FAKE_CLUSTER_H_
