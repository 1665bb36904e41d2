#include "server/access/failed_attempts.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/unit/jobs/fakes.h"

namespace atelier::access {
namespace {

constexpr char kPeer[] = "ipv4:192.0.2.7:1000";

TEST(FailedAttemptsTest, TheFirstAreAnsweredAtOnceAndFurtherOnesWait) {
  jobs::FakeClock clock;
  FailedAttempts attempts({.free = 2}, &clock);
  EXPECT_EQ(attempts.Note(kPeer).delay, absl::ZeroDuration());
  EXPECT_EQ(attempts.Note("ipv4:192.0.2.7:1001").delay, absl::ZeroDuration());
  EXPECT_EQ(attempts.Note("ipv4:192.0.2.7:1002").delay, absl::Seconds(1)) << "the same address";
  EXPECT_EQ(attempts.Note("ipv4:192.0.2.8:1000").delay, absl::ZeroDuration());
}

TEST(FailedAttemptsTest, AreForgottenAfterAWhile) {
  jobs::FakeClock clock;
  FailedAttempts attempts({.free = 1, .forgotten = absl::Minutes(1)}, &clock);
  attempts.Note(kPeer);
  EXPECT_GT(attempts.Note(kPeer).delay, absl::ZeroDuration());
  clock.Advance(absl::Seconds(61));
  EXPECT_EQ(attempts.Note(kPeer).delay, absl::ZeroDuration());
}

TEST(FailedAttemptsTest, EverFewerAreWorthALine) {
  jobs::FakeClock clock;
  FailedAttempts attempts({}, &clock);
  int lines = 0;
  for (int i = 0; i < 1024; ++i) lines += attempts.Note(kPeer).worth_a_line ? 1 : 0;
  EXPECT_EQ(lines, 11);
}

TEST(FailedAttemptsTest, MoreAddressesThanItKeepsWait) {
  jobs::FakeClock clock;
  FailedAttempts attempts({.max_addresses = 10}, &clock);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(attempts.Note(absl::StrCat("ipv4:192.0.2.", i, ":1")).delay, absl::ZeroDuration());
  }
  const FailedAttempts::Verdict beyond = attempts.Note("ipv4:198.51.100.1:1");
  EXPECT_EQ(beyond.delay, absl::Seconds(1));
  EXPECT_FALSE(beyond.worth_a_line);
  clock.Advance(absl::Minutes(2));
  EXPECT_EQ(attempts.Note("ipv4:198.51.100.1:1").delay, absl::ZeroDuration());
}

TEST(FailedAttemptsTest, OneIpv6NetworkIsOneAddress) {
  const auto of = FailedAttempts::AddressOf;
  EXPECT_EQ(of("ipv6:%5B2001:db8::1%5D:1000"), of("ipv6:[2001:db8::ffff:2]:2000"));
  EXPECT_NE(of("ipv6:[2001:db8::1]:1"), of("ipv6:[2001:db8:0:1::1]:1"));
  EXPECT_NE(of("ipv4:192.0.2.7:1"), of("ipv4:192.0.2.8:1"));
}

}  // namespace
}  // namespace atelier::access
