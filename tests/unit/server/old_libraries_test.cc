// With a dpkg that answers as it is told.
#include "server/old_libraries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"

namespace atelier::server {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// Installed is what begins with `name`, in this version.
launch::CommandRunner Dpkg(const std::string& name, const std::string& version) {
  return [=](const launch::Command& command) -> absl::StatusOr<launch::CommandResult> {
    if (!absl::EndsWith(command.arguments[0], "/dpkg-query")) return launch::RunCommand(command);
    if (!absl::StartsWith(command.arguments.back(), name)) return launch::CommandResult{1, "", ""};
    return launch::CommandResult{0, version, ""};
  };
}

TEST(OldLibrariesTest, ToldAreThoseBelowTheVersionThatThePackageDemands) {
  if (OldLibraries(Dpkg("libpng16", "0.1")).empty()) {
    GTEST_SKIP() << "nothing is known of the libraries of this system";
  }
  EXPECT_THAT(OldLibraries(Dpkg("libpng16", "1.6.39-2+deb12u5")),
              UnorderedElementsAre(AllOf(HasSubstr("libpng16"), HasSubstr(" 1.6.39-2+deb12u5 "),
                                         HasSubstr("install 1.6."))));
  EXPECT_THAT(OldLibraries(Dpkg("libpng16", "1.6.48-1+deb13u6")), IsEmpty());
  EXPECT_THAT(OldLibraries(Dpkg("libwebp7", "1.3.10-1")), IsEmpty()) << "not compared as text";
  EXPECT_THAT(OldLibraries(Dpkg("something-else", "0.1")), IsEmpty()) << "not installed";
  EXPECT_THAT(
      OldLibraries([](const launch::Command&) { return absl::UnavailableError("no fork"); }),
      IsEmpty());
}

}  // namespace
}  // namespace atelier::server
