#include "server/kubernetes/kubernetes_options.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace atelier::kubernetes {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class KubernetesOptionsTest : public testing::Test {
 protected:
  KubernetesOptionsTest() {
    std::string pattern = testing::TempDir() + "/kubernetes-XXXXXX";
    dir_ = mkdtemp(pattern.data());
    Write("job.json", R"({"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": {
                          "containers": [{"name": "worker"}]}}}})");
    flags_ = {{"kubernetes_job_template", dir_ + "/job.json"},
              {"kubernetes_api", "https://10.0.0.1:6443/"}};
    unsetenv("KUBERNETES_SERVICE_HOST");
  }
  ~KubernetesOptionsTest() override {
    unsetenv("KUBERNETES_SERVICE_HOST");
    std::filesystem::remove_all(dir_);
  }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(dir_ + "/" + name) << text;
  }
  std::string Complaint() {
    return std::string(KubernetesOptions::Create(flags_, dir_).status().message());
  }

  std::string dir_;
  remote::EngineFlags flags_;
};

TEST_F(KubernetesOptionsTest, OutsideOfAClusterFlagsSayWhere) {
  const auto options = KubernetesOptions::Create(flags_, dir_);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->api.url, "https://10.0.0.1:6443");
  EXPECT_EQ(options->api.token_file, "");
  EXPECT_EQ(options->name_space, "default");
  EXPECT_EQ(options->gpu_resource, "");
}

TEST_F(KubernetesOptionsTest, InAClusterThePodKnows) {
  Write("token", "secret");
  Write("ca.crt", "PEM");
  Write("namespace", "lab\n");
  flags_.erase("kubernetes_api");
  setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
  setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  const auto options = KubernetesOptions::Create(flags_, dir_);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->api.url, "https://[fd00::1]:443");
  EXPECT_EQ(options->api.token_file, dir_ + "/token");
  EXPECT_EQ(options->api.ca_file, dir_ + "/ca.crt");
  EXPECT_EQ(options->name_space, "lab");
}

TEST_F(KubernetesOptionsTest, WrongOnesAreNamed) {
  const auto with = [this](const std::string& flag, const std::string& value) {
    const remote::EngineFlags before = flags_;
    flags_[flag] = value;
    const std::string complaint = Complaint();
    flags_ = before;
    return complaint;
  };
  EXPECT_THAT(with("kubernetes_job_template", ""), HasSubstr("it has to be given"));
  EXPECT_THAT(with("kubernetes_job_template", dir_ + "/none"), HasSubstr(dir_ + "/none"));
  Write("pod.json", R"({"kind": "Pod"})");
  EXPECT_THAT(with("kubernetes_job_template", dir_ + "/pod.json"), HasSubstr("not a Job"));
  EXPECT_THAT(with("kubernetes_api", ""), HasSubstr("this is no pod of a cluster"));
  EXPECT_THAT(with("kubernetes_api", "http://10.0.0.1:80"), HasSubstr("is not https://"));
  EXPECT_THAT(with("kubernetes_api", "file:///etc"), HasSubstr("is not https://"));
  EXPECT_THAT(with("kubernetes_token_file", dir_ + "/none"),
              StartsWith("--kubernetes_token_file:"));
  EXPECT_THAT(with("kubernetes_ca_file", dir_ + "/none"), StartsWith("--kubernetes_ca_file:"));
  EXPECT_THAT(with("kubernetes_namespace", "a/b"), HasSubstr("is no namespace"));
}

}  // namespace
}  // namespace atelier::kubernetes
