#include "server/objects/aws_credentials.h"

#include <gtest/gtest.h>

#include <map>

#include "absl/strings/match.h"
#include "tests/unit/store/temporary_folder.h"

namespace atelier::objects {
namespace {

class AwsCredentialsTest : public testing::Test {
 protected:
  AwsCredentialsTest() { variables_["HOME"] = folder_.path(); }

  absl::StatusOr<Credentials> Find() {
    return FindCredentials([this](const std::string& name) { return variables_[name]; });
  }
  void WriteProfiles(const std::string& text) {
    store::WriteFile(folder_ / ".aws/credentials", text);
  }

  store::TemporaryFolder folder_;
  std::map<std::string, std::string> variables_;
};

TEST_F(AwsCredentialsTest, EnvironmentComesFirst) {
  WriteProfiles("[default]\naws_access_key_id=a\naws_secret_access_key=b\n");
  variables_["AWS_ACCESS_KEY_ID"] = "key";
  variables_["AWS_SECRET_ACCESS_KEY"] = "secret";
  variables_["AWS_SESSION_TOKEN"] = "token";
  const auto found = Find();
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->access_key, "key");
  EXPECT_EQ(found->secret_key, "secret");
  EXPECT_EQ(found->session_token, "token");
}

TEST_F(AwsCredentialsTest, ReadsTheProfileThatIsNamed) {
  WriteProfiles(
      "# ours\n[default]\naws_access_key_id = a\naws_secret_access_key = b\n\n"
      "[ lab ]\r\naws_access_key_id = key\r\naws_secret_access_key = se=cr/et\r\n");
  EXPECT_EQ(Find()->access_key, "a");
  variables_["AWS_PROFILE"] = "lab";
  EXPECT_EQ(Find()->access_key, "key");
  EXPECT_EQ(Find()->secret_key, "se=cr/et");
}

TEST_F(AwsCredentialsTest, LooksAnewWithEveryCall) {
  WriteProfiles("[default]\naws_access_key_id=a\naws_secret_access_key=b\n");
  EXPECT_EQ(Find()->access_key, "a");
  WriteProfiles("[default]\naws_access_key_id=new\naws_secret_access_key=b\n");
  EXPECT_EQ(Find()->access_key, "new");
}

TEST_F(AwsCredentialsTest, SaysWhereItLookedInVain) {
  const auto none = Find();
  EXPECT_EQ(none.status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_TRUE(absl::StrContains(none.status().message(), "AWS_ACCESS_KEY_ID")) << none.status();
  EXPECT_TRUE(absl::StrContains(none.status().message(), "/.aws/credentials")) << none.status();
  variables_["AWS_SHARED_CREDENTIALS_FILE"] = folder_ / "elsewhere";
  variables_["AWS_PROFILE"] = "lab";
  store::WriteFile(folder_ / "elsewhere", "[default]\naws_access_key_id=a\n");
  EXPECT_TRUE(absl::StrContains(Find().status().message(), "elsewhere has no profile [lab]"))
      << Find().status();
  variables_["AWS_PROFILE"] = "default";
  EXPECT_TRUE(absl::StrContains(Find().status().message(), "aws_secret_access_key"))
      << Find().status();
}

}  // namespace
}  // namespace atelier::objects
