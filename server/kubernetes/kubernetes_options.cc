#include "server/kubernetes/kubernetes_options.h"

#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "models/files/durable_file.h"
#include "server/base/wrong_flag.h"
#include "server/jobs/resource_names.h"

namespace atelier::kubernetes {
namespace {

using remote::EngineFlags;
using remote::ValueOf;

constexpr std::size_t kMaxTemplate = std::size_t{1} << 20;
constexpr std::size_t kMaxNamespace = 63;

std::string Variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool IsOfThisMachine(absl::string_view url) {
  return absl::StartsWith(url, "http://127.0.0.1:") || absl::StartsWith(url, "http://localhost:");
}

// The address that Kubernetes tells every pod; empty outside of one.
std::string UrlOfThisCluster() {
  const std::string host = Variable("KUBERNETES_SERVICE_HOST");
  if (host.empty()) return "";
  const bool bare_v6 = absl::StrContains(host, ':');
  return absl::StrCat("https://", bare_v6 ? "[" : "", host, bare_v6 ? "]" : "", ":",
                      Variable("KUBERNETES_SERVICE_PORT"));
}

absl::StatusOr<ApiAddress> ReadAddress(const EngineFlags& flags,
                                       const std::string& service_account) {
  ApiAddress api;
  api.url = ValueOf(flags, "kubernetes_api");
  api.token_file = ValueOf(flags, "kubernetes_token_file");
  api.ca_file = ValueOf(flags, "kubernetes_ca_file");
  if (api.url.empty()) {
    api.url = UrlOfThisCluster();
    if (api.url.empty()) {
      return WrongFlag("kubernetes_api",
                       "this is no pod of a cluster, so it has to be given: https://HOST:PORT");
    }
    if (api.token_file.empty()) api.token_file = service_account + "/token";
    if (api.ca_file.empty()) api.ca_file = service_account + "/ca.crt";
  }
  while (absl::EndsWith(api.url, "/")) api.url.pop_back();
  if (!absl::StartsWith(api.url, "https://") && !IsOfThisMachine(api.url)) {
    return WrongFlag("kubernetes_api", absl::StrCat("'", api.url, "' is not https://HOST:PORT"));
  }
  const std::pair<const char*, const std::string&> files[] = {
      {"kubernetes_token_file", api.token_file}, {"kubernetes_ca_file", api.ca_file}};
  for (const auto& [flag, path] : files) {
    if (path.empty()) continue;
    const auto content = models::ReadWholeFile(path, kMaxTemplate);
    if (!content.ok()) return WrongFlag(flag, content.status().message());
  }
  return api;
}

absl::StatusOr<std::string> ReadNamespace(const EngineFlags& flags,
                                          const std::string& service_account) {
  std::string name = ValueOf(flags, "kubernetes_namespace");
  if (name.empty()) {
    const auto own = models::ReadWholeFile(service_account + "/namespace", kMaxTemplate);
    name = own.ok() ? std::string(absl::StripAsciiWhitespace(*own)) : "default";
  }
  if (jobs::IsSlug(name, kMaxNamespace)) return name;
  return WrongFlag("kubernetes_namespace",
                   absl::StrCat("'", name, "' is no namespace: at most 63 of a-z, 0-9 and '-'"));
}

absl::StatusOr<JobTemplate> ReadTemplate(const std::string& path) {
  constexpr char kFlag[] = "kubernetes_job_template";
  if (path.empty()) {
    return WrongFlag(kFlag,
                     "it has to be given: a file with the Job that runs a worker, as JSON; "
                     "deploy/kubernetes/workers has one");
  }
  const auto text = models::ReadWholeFile(path, kMaxTemplate);
  if (!text.ok()) return WrongFlag(kFlag, text.status().message());
  auto job = JobTemplate::Parse(*text);
  if (!job.ok()) return WrongFlag(kFlag, absl::StrCat(path, ": ", job.status().message()));
  return job;
}

}  // namespace

absl::StatusOr<KubernetesOptions> KubernetesOptions::Create(const remote::EngineFlags& flags,
                                                            const std::string& service_account) {
  auto job = ReadTemplate(ValueOf(flags, "kubernetes_job_template"));
  if (!job.ok()) return job.status();
  auto api = ReadAddress(flags, service_account);
  if (!api.ok()) return api.status();
  auto name_space = ReadNamespace(flags, service_account);
  if (!name_space.ok()) return name_space.status();
  return KubernetesOptions{.api = *std::move(api),
                           .name_space = *std::move(name_space),
                           .gpu_resource = ValueOf(flags, "kubernetes_gpu_resource"),
                           .job = *std::move(job)};
}

}  // namespace atelier::kubernetes
