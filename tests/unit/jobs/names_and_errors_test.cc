// Errors, resource names and page tokens.
#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "server/jobs/error.h"
#include "server/jobs/page_token.h"
#include "server/jobs/resource_names.h"

namespace atelier::jobs {
namespace {

TEST(ErrorTest, CarriesItsReasonAsAnErrorInfo) {
  const absl::Status status = Error(absl::StatusCode::kNotFound, "JOB_NOT_FOUND", "No job x.");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "No job x.");
  EXPECT_EQ(ReasonOf(status), "JOB_NOT_FOUND");
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(info.ParseFromString(std::string(*status.GetPayload(kErrorInfoUrl))));
  EXPECT_EQ(info.domain(), "atelier");
}

TEST(ErrorTest, OtherStatusesHaveNoReasonAndNoViolations) {
  EXPECT_EQ(ReasonOf(absl::OkStatus()), "");
  EXPECT_EQ(ReasonOf(absl::InternalError("x")), "");
  EXPECT_TRUE(ViolationsOf(absl::InternalError("x")).empty());
}

TEST(ErrorTest, NamesEveryWrongField) {
  const absl::Status status = InvalidFields({{"spec.epochs", "Too many."}, {"name", "Empty."}});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "Too many. Empty.");
  const auto violations = ViolationsOf(status);
  ASSERT_EQ(violations.size(), 2u);
  EXPECT_EQ(violations[0].field, "spec.epochs");
  EXPECT_EQ(violations[1].description, "Empty.");
  EXPECT_TRUE(InvalidFields({}).ok());
}

TEST(ResourceNamesTest, TakesApartWhatItPutsTogether) {
  EXPECT_EQ(*ParseJobName(JobName("cnn-3-20250131-120000")), "cnn-3-20250131-120000");
  EXPECT_EQ(ParseModelName(ModelName("cnn-3"))->model, "cnn-3");
  EXPECT_EQ(ParseModelName(ModelName("cnn-3"))->version, "");
  EXPECT_EQ(ParseModelName(ModelVersionName("cnn-3", 12))->version, "12");
  EXPECT_EQ(ParseModelName("models/cnn-3/versions/latest")->version, "latest");
}

TEST(ResourceNamesTest, RefusesWhatIsNoJobsName) {
  const std::string long_name = "jobs/" + std::string(200, 'a');
  for (const std::string& name :
       {std::string(""), std::string("jobs"), std::string("jobs/"), std::string("job/x"),
        std::string("jobs/x/y"), std::string("jobs/.."), std::string("jobs/X"),
        std::string("jobs/a b"), std::string("jobs/-a"), std::string("jobs/a\n"),
        std::string("jobs/a\0b", 8), std::string("jobs/ä"), long_name}) {
    const auto id = ParseJobName(name);
    ASSERT_FALSE(id.ok()) << name;
    EXPECT_EQ(ViolationsOf(id.status())[0].field, "name");
  }
}

TEST(ResourceNamesTest, RefusesWhatIsNoModelsName) {
  for (const char* name :
       {"", "models", "models/", "models/a/", "models/a/versions", "models/a/versions/",
        "models/a/versions/0", "models/a/versions/-1", "models/a/versions/1.5",
        "models/a/versions/1/x", "models/A", "models/a/version/1", "models/../versions/1"}) {
    EXPECT_FALSE(ParseModelName(name).ok()) << name;
  }
}

TEST(ResourceNamesTest, TakesApartDatasetsAsPeopleAndProgramsNameThem) {
  EXPECT_EQ(ParseDatasetReference("digits")->version, 0);
  EXPECT_EQ(ParseDatasetReference("digits@12")->version, 12);
  EXPECT_EQ(ParseDatasetReference("digits@12")->Text(), "digits@12");
  for (const char* wrong : {"", "@1", "digits@", "digits@0", "digits@01", "digits@latest", "a@1@2",
                            "Digits", "../x", "a/b"}) {
    EXPECT_FALSE(ParseDatasetReference(wrong).has_value()) << wrong;
  }
  EXPECT_EQ(ParseDatasetName(DatasetName("digits"))->dataset, "digits");
  EXPECT_EQ(ParseDatasetName(DatasetVersionName("digits", 3))->version, 3);
  for (const char* wrong : {"digits", "datasets/", "datasets/../x", "datasets/a/versions/0",
                            "datasets/a/versions/", "models/a"}) {
    EXPECT_FALSE(ParseDatasetName(wrong).ok()) << wrong;
  }
}

TEST(ResourceNamesTest, AnUploadIsDigitsAlone) {
  const std::string id(32, 'a');
  EXPECT_EQ(*ParseUploadName(UploadName(id)), id);
  for (const std::string& wrong : {std::string("../etc"), std::string(32, 'g'), id + "a"}) {
    EXPECT_FALSE(ParseUploadName(UploadName(wrong)).ok()) << wrong;
  }
}

TEST(PageTokenTest, LeadsBackToItsPosition) {
  EXPECT_EQ(*ReadPageToken("jobs:", MakePageToken("jobs:", "42")), "42");
  EXPECT_EQ(*ReadPageToken("jobs:", ""), "");
}

TEST(PageTokenTest, RefusesTokensFromElsewhere) {
  const std::string token = MakePageToken("jobs:", "42");
  std::string changed = token;
  changed.back() = changed.back() == 'A' ? 'B' : 'A';
  for (const std::string& bad :
       {MakePageToken("jobs:1", "42"), changed, token.substr(1), token + token, std::string("42"),
        std::string("%%%"), std::string(5000, 'A')}) {
    const auto position = ReadPageToken("jobs:", bad);
    ASSERT_FALSE(position.ok()) << bad;
    EXPECT_EQ(ViolationsOf(position.status())[0].field, "page_token");
  }
}

TEST(PageSizeTest, HasADefaultAndARange) {
  EXPECT_EQ(*ResolvePageSize(0, 50, 1000), 50);
  EXPECT_EQ(*ResolvePageSize(1000, 50, 1000), 1000);
  EXPECT_FALSE(ResolvePageSize(1001, 50, 1000).ok());
  EXPECT_FALSE(ResolvePageSize(-1, 50, 1000).ok());
}

}  // namespace
}  // namespace atelier::jobs
