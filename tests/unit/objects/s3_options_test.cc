#include "server/objects/s3_options.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"

namespace atelier::objects {
namespace {

using Flags = std::map<std::string, std::string>;

absl::StatusOr<S3Options> Create(const std::string& location, const Flags& flags = {},
                                 const Flags& variables = {}) {
  return S3Options::Create(location, flags, [variables](const std::string& name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::string() : found->second;
  });
}

TEST(S3OptionsTest, MeansAmazonWithoutAnEndpoint) {
  const auto options = Create("s3://bucket/a/b/", {{"s3_region", "eu-central-1"}});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_TRUE(options->tls);
  EXPECT_EQ(options->host, "bucket.s3.eu-central-1.amazonaws.com");
  EXPECT_FALSE(options->path_style);
  EXPECT_EQ(options->Uri("job/output/model.tar.gz"), "s3://bucket/a/b/job/output/model.tar.gz");
  EXPECT_EQ(options->Location(), "s3://bucket/a/b");
}

TEST(S3OptionsTest, OtherStoresHaveTheBucketInThePath) {
  const auto options = Create("s3://bucket", {{"s3_endpoint", "http://Store:8333/"}});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_FALSE(options->tls);
  EXPECT_EQ(options->host, "store:8333");
  EXPECT_TRUE(options->path_style);
  EXPECT_EQ(options->region, "us-east-1");
  EXPECT_EQ(options->Uri("key"), "s3://bucket/key");
}

TEST(S3OptionsTest, PathStyleCanBeChosen) {
  const auto options =
      Create("s3://bucket", {{"s3_endpoint", "https://store:443"}, {"s3_path_style", "false"}});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->host, "bucket.store");
  // No certificate covers such a name.
  EXPECT_TRUE(Create("s3://my.bucket")->path_style);
}

TEST(S3OptionsTest, TakesWhatTheAwsToolsTake) {
  const auto options =
      Create("s3://bucket", {},
             {{"AWS_ENDPOINT_URL_S3", "http://store:1"}, {"AWS_DEFAULT_REGION", "somewhere"}});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->host, "store:1");
  EXPECT_EQ(options->region, "somewhere");
}

TEST(S3OptionsTest, SaysWhichFlagIsWrong) {
  const auto problem = [](const auto& options) { return std::string(options.status().message()); };
  EXPECT_TRUE(absl::StrContains(problem(Create("/srv/artifacts")), "--artifacts"));
  EXPECT_TRUE(absl::StrContains(problem(Create("s3://Bucket/x")), "bucket's name"));
  EXPECT_TRUE(absl::StrContains(problem(Create("s3://bucket/a//b")), "empty part"));
  EXPECT_TRUE(absl::StrContains(problem(Create("s3://bucket/a/../b")), "empty part"));
  EXPECT_TRUE(absl::StrContains(problem(Create("s3://bucket/a\nb")), "control"));
  EXPECT_TRUE(absl::StrContains(problem(Create("s3://bucket/" + std::string(501, 'a'))), "501"));
  for (const char* endpoint : {"store:8333", "http://", "http://store/path", "http://user@store"}) {
    EXPECT_TRUE(absl::StrContains(problem(Create("s3://bucket", {{"s3_endpoint", endpoint}})),
                                  "--s3_endpoint"))
        << endpoint;
  }
  EXPECT_TRUE(
      absl::StrContains(problem(Create("s3://bucket", {{"s3_region", "a b"}})), "--s3_region"));
  EXPECT_TRUE(absl::StrContains(problem(Create("s3://bucket", {{"s3_path_style", "yes"}})),
                                "--s3_path_style"));
}

TEST(S3OptionsTest, PrefixMayHaveOddCharacters) {
  EXPECT_EQ(Create("s3://bucket/a b+c=d&e@f%g/ü")->FullKey("k"), "a b+c=d&e@f%g/ü/k");
}

}  // namespace
}  // namespace atelier::objects
