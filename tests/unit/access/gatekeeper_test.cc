#include "server/access/gatekeeper.h"

#include <sys/stat.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/access/token.h"
#include "server/jobs/error.h"
#include "tests/unit/jobs/fakes.h"
#include "tests/unit/store/temporary_folder.h"

namespace atelier::access {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Refusals final : public AccessObserver {
 public:
  void Refused(absl::string_view reason) override { reasons.emplace_back(reason); }
  void FileRead(bool usable) override { reads.push_back(usable); }
  void AuditEntriesLost(std::size_t count) override { lost += count; }
  std::size_t lost = 0;
  std::vector<std::string> reasons;
  std::vector<bool> reads;
};

class GatekeeperTest : public testing::Test {
 protected:
  GatekeeperTest() {
    Write(absl::StrCat(Line("alice", Role::kOperator, alice_), "certificate bob viewer\n"));
  }

  static std::string Line(const std::string& name, Role role, const NewToken& token) {
    return WithToken("", {.name = name, .role = role, .id = token.id, .sha256 = token.sha256});
  }
  void Write(const std::string& content) { store::WriteFile(file_, content); }
  void Open() {
    auto opened =
        Gatekeeper::Open({.file = file_,
                          .certificates = true,
                          .log = [this](const std::string& sentence) { log_.push_back(sentence); }},
                         &clock_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    gatekeeper_ = *std::move(opened);
    gatekeeper_->SetObserver(&refusals_);
  }
  // `name role`, or the reason of the refusal.
  std::string Identify(const Gatekeeper::Shown& shown) {
    const auto caller = gatekeeper_->Identify(shown);
    if (!caller.ok()) {
      EXPECT_TRUE(absl::IsUnauthenticated(caller.status()));
      return jobs::ReasonOf(caller.status());
    }
    return absl::StrCat((*caller)->name, " ", RoleWord((*caller)->role));
  }
  std::string IdentifyToken(const std::string& header) {
    return Identify({.authorization = header});
  }

  store::TemporaryFolder folder_;
  const std::string file_ = folder_ / "access";
  const NewToken alice_ = MakeToken();
  jobs::FakeClock clock_;
  Refusals refusals_;
  std::vector<std::string> log_;
  std::unique_ptr<Gatekeeper> gatekeeper_;
};

TEST_F(GatekeeperTest, KnowsTokens) {
  Open();
  EXPECT_EQ(IdentifyToken("Bearer " + alice_.text), "alice operator");
  EXPECT_EQ(IdentifyToken("bearer " + alice_.text), "alice operator") << "schemes have no case";
}

TEST_F(GatekeeperTest, RefusesWhatIsNoKnownToken) {
  Open();
  std::string changed = alice_.text;
  changed.back() = changed.back() == '0' ? '1' : '0';
  for (const std::string& header :
       {std::string(), std::string("Bearer"), std::string("Bearer "), alice_.text,
        "Basic " + alice_.text, "Bearer " + changed, "Bearer " + alice_.text + "0",
        "Bearer " + MakeToken().text, "Bearer " + alice_.sha256,
        "Bearer " + std::string(100'000, 'x')}) {
    EXPECT_EQ(IdentifyToken(header), "UNKNOWN_TOKEN") << header.substr(0, 100);
  }
  EXPECT_EQ(Identify({}), "NO_CREDENTIALS");
  const std::string header = "Bearer " + alice_.text;
  EXPECT_EQ(Identify({.authorization = header, .several = true}), "UNKNOWN_TOKEN");
}

TEST_F(GatekeeperTest, ATokenThatWasRightBeforeIsJudgedByItsWholeText) {
  Open();
  const std::string right = "Bearer " + alice_.text;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(IdentifyToken(right), "alice operator");
    for (const std::size_t at : {right.size() - 1, right.size() / 2}) {
      std::string wrong = right;
      wrong[at] = wrong[at] == '0' ? '1' : '0';
      EXPECT_EQ(IdentifyToken(wrong), "UNKNOWN_TOKEN");
    }
    EXPECT_EQ(IdentifyToken(right.substr(0, right.size() - 1)), "UNKNOWN_TOKEN");
  }
  Write("certificate bob viewer\n");
  gatekeeper_->Tick();
  EXPECT_EQ(IdentifyToken(right), "UNKNOWN_TOKEN") << "the file no longer has it";
}

TEST_F(GatekeeperTest, KnowsCertificatesThatTheFileNames) {
  Open();
  EXPECT_EQ(Identify({.certificate_name = "bob"}), "bob viewer");
  EXPECT_EQ(Identify({.certificate_name = "eve"}), "UNKNOWN_CERTIFICATE");
  EXPECT_EQ(Identify({.certificate_name = "alice"}), "UNKNOWN_CERTIFICATE") << "a token's name";
}

TEST_F(GatekeeperTest, WithoutAFileEverybodyMayDoEverythingUnderTheNameOfACertificate) {
  const auto open = Gatekeeper::Open({.certificates = true}, &clock_);
  ASSERT_TRUE(open.ok());
  EXPECT_FALSE((*open)->asks());
  EXPECT_EQ((*(*open)->Identify({}))->role, Role::kAdmin);
  EXPECT_EQ((*(*open)->Identify({.certificate_name = "bob"}))->name, "bob");
  EXPECT_EQ((*(*open)->Identify({.certificate_name = "bob"}))->role, Role::kAdmin);
}

TEST_F(GatekeeperTest, FollowsTheFile) {
  Open();
  const NewToken carol = MakeToken();
  Write(Line("carol", Role::kViewer, carol));
  gatekeeper_->Tick();
  EXPECT_EQ(IdentifyToken("Bearer " + carol.text), "carol viewer");
  EXPECT_EQ(IdentifyToken("Bearer " + alice_.text), "UNKNOWN_TOKEN");
  EXPECT_THAT(refusals_.reads, ElementsAre(true));
  gatekeeper_->Tick();
  EXPECT_THAT(refusals_.reads, ElementsAre(true)) << "nothing changed";
}

TEST_F(GatekeeperTest, AFileThatCannotBeUsedChangesNothingAndIsReportedOnce) {
  Open();
  Write("token alice\n");
  gatekeeper_->Tick();
  gatekeeper_->Tick();
  EXPECT_EQ(IdentifyToken("Bearer " + alice_.text), "alice operator");
  EXPECT_THAT(log_, ElementsAre(HasSubstr("line 1: the line needs a name and a role")));
  EXPECT_FALSE(refusals_.reads.front());
  std::filesystem::remove(file_);
  gatekeeper_->Tick();
  EXPECT_EQ(IdentifyToken("Bearer " + alice_.text), "alice operator");
  Write(Line("alice", Role::kAdmin, alice_));
  gatekeeper_->Tick();
  EXPECT_EQ(IdentifyToken("Bearer " + alice_.text), "alice admin");
  EXPECT_TRUE(refusals_.reads.back());
}

TEST_F(GatekeeperTest, RefusesFilesThatCannotBeTrusted) {
  const auto complaint = [this] {
    const auto opened = Gatekeeper::Open({.file = file_}, &clock_);
    EXPECT_TRUE(absl::IsInvalidArgument(opened.status()));
    return std::string(opened.status().message());
  };
  chmod(file_.c_str(), 0666);
  EXPECT_THAT(complaint(), HasSubstr("everybody on this machine may write to it"));
  chmod(file_.c_str(), 0644);
  Write("token\n");
  EXPECT_THAT(complaint(), HasSubstr(file_ + " cannot be used: line 1: "));
  Write(std::string(kMaxAccessFileBytes + 1, '\n'));
  EXPECT_THAT(complaint(), HasSubstr("has 1048577 bytes"));
  std::filesystem::remove(file_);
  EXPECT_THAT(complaint(), HasSubstr("No such file"));
  std::filesystem::create_directory(file_);
  EXPECT_THAT(complaint(), HasSubstr("no plain file"));
}

TEST_F(GatekeeperTest, GuessesAreCountedLoggedAndSlowed) {
  Open();
  const auto refuse = [this] {
    const std::string header = "Bearer " + MakeToken().text;
    return gatekeeper_->NoteRefusal(gatekeeper_->Identify({.authorization = header}).status(),
                                    "/a/B", "", "ipv4:192.0.2.7:1");
  };
  for (int i = 0; i < 3; ++i) EXPECT_EQ(refuse(), absl::ZeroDuration());
  EXPECT_EQ(refuse(), absl::Seconds(1));
  EXPECT_EQ(refusals_.reasons.size(), 4U);
  EXPECT_EQ(refusals_.reasons.back(), "UNKNOWN_TOKEN");
  ASSERT_EQ(log_.size(), 3U) << "of attempts 1, 2 and 4";
  EXPECT_THAT(log_.back(), HasSubstr("A stranger at ipv4:192.0.2.7:1 was refused /a/B "
                                     "(UNKNOWN_TOKEN), 4 refused lately."));
  EXPECT_EQ(
      gatekeeper_->NoteRefusal(gatekeeper_->Identify({}).status(), "/a/B", "", "ipv4:192.0.2.7:1"),
      absl::ZeroDuration())
      << "who shows nothing guesses nothing";
}

TEST_F(GatekeeperTest, CallersThatMayNotAreLoggedEverMoreSeldomAndNeverSlowed) {
  Open();
  const absl::Status refused =
      CheckRole({.name = "alice", .role = Role::kViewer}, Role::kAdmin, "/a/B");
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(gatekeeper_->NoteRefusal(refused, "/a/B", "alice", "ipv4:192.0.2.7:1"),
              absl::ZeroDuration());
  }
  EXPECT_EQ(log_.size(), 7U);
  EXPECT_THAT(log_.front(), HasSubstr("alice at ipv4:192.0.2.7:1 was refused /a/B (ROLE_NEEDED)"));
  const std::string header = "Bearer " + MakeToken().text;
  EXPECT_EQ(gatekeeper_->NoteRefusal(gatekeeper_->Identify({.authorization = header}).status(),
                                     "/a/B", "", "ipv4:192.0.2.7:1"),
            absl::ZeroDuration())
      << "the first guess from there";
}

TEST(CallerTest, RolesAreSteps) {
  const Caller viewer = {.name = "v", .role = Role::kViewer};
  EXPECT_TRUE(CheckRole(viewer, Role::kClassify, "/a/B").ok());
  EXPECT_TRUE(CheckRole(viewer, Role::kViewer, "/a/B").ok());
  const absl::Status refused = CheckRole(viewer, Role::kOperator, "/a.S/Stop");
  EXPECT_TRUE(absl::IsPermissionDenied(refused));
  EXPECT_EQ(jobs::ReasonOf(refused), "ROLE_NEEDED");
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("Stop needs the role operator, but v has the role viewer"));
}

TEST(CallerTest, OperatorsChangeTheirOwnAndAdminsEverything) {
  const Caller caller = {.name = "alice", .role = Role::kOperator};
  EXPECT_TRUE(CheckOwn(caller, "jobs/a", "alice").ok());
  const absl::Status refused = CheckOwn(caller, "jobs/a", "bob");
  EXPECT_EQ(jobs::ReasonOf(refused), "NOT_YOURS");
  EXPECT_THAT(std::string(refused.message()), HasSubstr("jobs/a was made by bob, and alice"));
  EXPECT_EQ(jobs::ReasonOf(CheckOwn(caller, "jobs/a", "")), "NOT_YOURS");
  EXPECT_EQ(jobs::ReasonOf(CheckOwn({.role = Role::kOperator}, "jobs/a", "")), "NOT_YOURS")
      << "nobody owns what nobody made";
  EXPECT_TRUE(CheckOwn({.name = "root", .role = Role::kAdmin}, "jobs/a", "bob").ok());
  EXPECT_TRUE(CheckOwn(*Anybody(), "jobs/a", "bob").ok());
}

}  // namespace
}  // namespace atelier::access
