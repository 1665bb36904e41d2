#include "proto/access/access_file.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/access/token.h"

namespace atelier::access {
namespace {

using ::testing::HasSubstr;

constexpr char kHash[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

std::string TokenLine(const std::string& name, const std::string& role, const std::string& id) {
  return absl::StrCat("token ", name, " ", role, " id=", id, " sha256=", kHash);
}

std::string Complaint(const std::string& text) {
  const auto parsed = ParseAccessFile(text);
  EXPECT_FALSE(parsed.ok()) << text;
  return std::string(parsed.status().message());
}

TEST(AccessFileTest, ReadsTokensAndCertificates) {
  const auto parsed = ParseAccessFile(absl::StrCat(
      "# people\n\n", TokenLine("alice", "operator", "01234567"),
      " created=2026-11-29  # since autumn\n\tcertificate bob.example.com viewer\r\n"));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  ASSERT_EQ(parsed->size(), 2U);
  const Credential& token = parsed->at(0);
  EXPECT_EQ(token.kind, Credential::Kind::kToken);
  EXPECT_EQ(token.name, "alice");
  EXPECT_EQ(token.role, Role::kOperator);
  EXPECT_EQ(token.id, "01234567");
  EXPECT_EQ(token.sha256, kHash);
  EXPECT_EQ(token.created, "2026-11-29");
  EXPECT_EQ(parsed->at(1).kind, Credential::Kind::kCertificate);
  EXPECT_EQ(parsed->at(1).name, "bob.example.com");
  EXPECT_EQ(parsed->at(1).role, Role::kViewer);
}

TEST(AccessFileTest, NamesTheLineAndWhatIsWrong) {
  EXPECT_THAT(Complaint("\nuser alice viewer"), HasSubstr("line 2: 'user' begins no line"));
  EXPECT_THAT(Complaint("token alice"), HasSubstr("needs a name and a role"));
  EXPECT_THAT(Complaint("certificate alice boss"), HasSubstr("'boss' is no role; it must be"));
  EXPECT_THAT(Complaint("certificate -a viewer"), HasSubstr("'-a' is no name"));
  EXPECT_THAT(Complaint("certificate admin viewer"), HasSubstr("word for a role"));
  EXPECT_THAT(Complaint("certificate a viewer x"), HasSubstr("'x' follows the role"));
  EXPECT_THAT(Complaint("token a viewer id=01234567"), HasSubstr("needs id= and sha256="));
  EXPECT_THAT(Complaint("token a viewer id=0123456Z sha256=00"),
              HasSubstr("'id=0123456Z' is none"));
  EXPECT_THAT(Complaint(TokenLine("a", "viewer", "01234567") + " colour=red"),
              HasSubstr("'colour=red' is none of"));
  EXPECT_THAT(Complaint(absl::StrCat("certificate ", std::string(200, 'a'), " viewer")),
              HasSubstr("1 to 128"));
}

TEST(AccessFileTest, OneCallerHasOneRole) {
  EXPECT_THAT(Complaint(TokenLine("a", "viewer", "01234567") + "\ncertificate a admin"),
              HasSubstr("line 2: a is viewer in a line before"));
  EXPECT_TRUE(ParseAccessFile(TokenLine("a", "viewer", "01234567") + "\n" +
                              TokenLine("a", "viewer", "01234568"))
                  .ok());
}

TEST(AccessFileTest, TheSameCredentialTwiceIsRefused) {
  EXPECT_THAT(
      Complaint(TokenLine("a", "viewer", "01234567") + "\n" + TokenLine("b", "viewer", "01234567")),
      HasSubstr("the token 01234567 is in a line before"));
  EXPECT_THAT(Complaint("certificate a viewer\ncertificate a viewer"),
              HasSubstr("the certificate of a is in a line before"));
}

TEST(AccessFileTest, LimitsAreReadByName) {
  const auto limits = ParseLimits(
      "limit operator jobs=20 data=1GiB # all of them\n"
      "limit alice running=4\nlimit alice cores=8 calls=0\ncertificate alice operator");
  ASSERT_TRUE(limits.ok()) << limits.status();
  EXPECT_EQ(limits->at("operator").jobs, 20);
  EXPECT_EQ(limits->at("operator").data, std::int64_t{1} << 30);
  EXPECT_EQ(limits->at("operator").running, std::nullopt);
  EXPECT_EQ(limits->at("alice").running, 4);
  EXPECT_EQ(limits->at("alice").cores, 8);
  EXPECT_EQ(limits->at("alice").calls, 0);
  const Limits alices = Combined(limits->at("alice"), limits->at("operator"));
  EXPECT_EQ(alices.jobs, 20);
  EXPECT_EQ(alices.running, 4);
}

TEST(AccessFileTest, LimitsThatCannotBeAreRefused) {
  EXPECT_THAT(Complaint("limit alice"), HasSubstr("a limit needs a name or role"));
  EXPECT_THAT(Complaint("limit alice jobs"), HasSubstr("'jobs' is no limit; there are jobs="));
  EXPECT_THAT(Complaint("limit alice hats=2"), HasSubstr("'hats=2' is no limit; there are jobs="));
  EXPECT_THAT(Complaint("limit alice jobs=-1"), HasSubstr("it must be jobs=N, 0 or more"));
  EXPECT_THAT(Complaint("limit alice jobs=2x"), HasSubstr("it must be jobs=N, 0 or more"));
  EXPECT_THAT(Complaint("limit alice data=much"), HasSubstr("it must be data=SIZE"));
  EXPECT_THAT(Complaint("limit alice jobs=1\nlimit alice jobs=2"),
              HasSubstr("line 2: 'jobs=2' is there twice"));
  EXPECT_THAT(Complaint("limit !! jobs=1"), HasSubstr("'!!' is no name"));
}

TEST(AccessFileTest, EditingKeepsAllOtherLines) {
  const std::string before = "# by hand\ncertificate bob viewer  # a friend";
  const Credential token = {
      .name = "alice", .role = Role::kAdmin, .id = "01234567", .sha256 = kHash, .created = "today"};
  const std::string with = WithToken(before, token);
  EXPECT_EQ(with, absl::StrCat(before, "\n", TokenLine("alice", "admin", "01234567"),
                               " created=today\n"));
  ASSERT_TRUE(ParseAccessFile(with).ok());
  EXPECT_EQ(*WithoutToken(with, "alice"), before + "\n");
  EXPECT_EQ(*WithoutToken(with, "01234567"), before + "\n");
  const auto unknown = WithoutToken(with, "bob");
  EXPECT_TRUE(absl::IsNotFound(unknown.status())) << "a certificate is no token";
  EXPECT_THAT(std::string(unknown.status().message()), HasSubstr("there are: alice"));
}

}  // namespace
}  // namespace atelier::access
