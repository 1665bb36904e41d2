#include "server/metrics/metrics_page.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prometheus/gauge.h"

namespace atelier::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A connection to a port of this machine, which says so much.
int Connect(int port, const std::string& words) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(send(connection, words.data(), words.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(words.size()));
  return connection;
}

// What comes from a connection until its end.
std::string ReadAll(int connection) {
  std::string answer;
  char buffer[4096];
  for (ssize_t count; (count = read(connection, buffer, sizeof(buffer))) > 0;) {
    answer.append(buffer, static_cast<std::size_t>(count));
  }
  close(connection);
  return answer;
}

std::string Scrape(int port, const std::string& path = "/metrics",
                   const std::string& headers = "") {
  return ReadAll(Connect(port, "GET " + path + " HTTP/1.0\r\n" + headers + "\r\n"));
}

absl::StatusOr<std::unique_ptr<MetricsPage>> Start(int port = 0,
                                                   absl::Duration patience = absl::Seconds(5)) {
  return MetricsPage::Start({.host = "127.0.0.1",
                             .port = port,
                             .version = "1.2.3",
                             .libtorch_version = "9.9",
                             .patience = patience});
}

TEST(MetricsPageTest, SaysWhatRuns) {
  const auto page = Start();
  ASSERT_TRUE(page.ok()) << page.status();
  const std::string answer = Scrape((*page)->port());
  EXPECT_THAT(answer, HasSubstr("200 OK"));
  EXPECT_THAT(answer, HasSubstr("atelier_build_info{"));
  EXPECT_THAT(answer, HasSubstr("version=\"1.2.3\""));
}

TEST(MetricsPageTest, ShowsWhatIsRegistered) {
  const auto page = Start();
  ASSERT_TRUE(page.ok()) << page.status();
  prometheus::BuildGauge()
      .Name("atelier_queue_length")
      .Help("Jobs waiting.")
      .Register((*page)->registry())
      .Add({})
      .Set(7);
  EXPECT_THAT(Scrape((*page)->port()), HasSubstr("\natelier_queue_length 7"));
  auto registry = std::make_shared<prometheus::Registry>();
  (*page)->Add(registry);
  prometheus::BuildGauge().Name("atelier_more").Help("More.").Register(*registry).Add({}).Set(1);
  EXPECT_THAT(Scrape((*page)->port()), HasSubstr("\natelier_more 1"));
  registry.reset();
  EXPECT_THAT(Scrape((*page)->port()), Not(HasSubstr("atelier_more")));
}

TEST(MetricsPageTest, RefusesAPortThatIsTakenAndNamesIt) {
  const auto page = Start();
  ASSERT_TRUE(page.ok()) << page.status();
  const auto second = Start((*page)->port());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr("127.0.0.1:" + std::to_string((*page)->port())));
}

TEST(MetricsPageTest, HasNothingElse) {
  const auto page = Start();
  ASSERT_TRUE(page.ok()) << page.status();
  for (const char* path : {"/", "/CMakeLists.txt", "/../etc/passwd", "/metrics/../.."}) {
    EXPECT_THAT(Scrape((*page)->port(), path), Not(HasSubstr("200 OK"))) << path;
  }
}

TEST(MetricsPageTest, IsOnlyRead) {
  const auto page = Start();
  ASSERT_TRUE(page.ok()) << page.status();
  for (const char* request : {"POST /metrics HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
                              "DELETE /metrics HTTP/1.0\r\n\r\n"}) {
    EXPECT_THAT(ReadAll(Connect((*page)->port(), request)), HasSubstr(" 405 ")) << request;
  }
  const std::string head = ReadAll(Connect((*page)->port(), "HEAD /metrics HTTP/1.0\r\n\r\n"));
  EXPECT_THAT(head, HasSubstr("200 OK"));
  EXPECT_THAT(head, Not(HasSubstr("atelier_build_info")));
}

TEST(MetricsPageTest, RefusesHeadersThatAreTooLong) {
  const auto page = Start();
  ASSERT_TRUE(page.ok()) << page.status();
  const std::string answer =
      Scrape((*page)->port(), "/metrics", "X-Long: " + std::string(100'000, 'x') + "\r\n");
  EXPECT_THAT(answer, Not(HasSubstr("200 OK")));
  EXPECT_THAT(Scrape((*page)->port()), HasSubstr("200 OK"));
}

TEST(MetricsPageTest, TakesATokenAsABearerOrAsAPassword) {
  const auto page = MetricsPage::Start(
      {.host = "127.0.0.1", .admit = [](const std::string& token) { return token == "secret"; }});
  ASSERT_TRUE(page.ok()) << page.status();
  const auto status = [&](const std::string& headers) {
    return Scrape((*page)->port(), "/metrics", headers).substr(9, 3);
  };
  EXPECT_EQ(status("Authorization: Bearer secret\r\n"), "200");
  EXPECT_EQ(status("Authorization: Basic YW55b25lOnNlY3JldA==\r\n"), "200");  // anyone:secret
  for (const char* wrong : {"", "Authorization: Bearer\r\n", "Authorization: Bearer secrets\r\n",
                            "Authorization: Basic secret\r\n", "Authorization: Basic ????\r\n",
                            "Authorization: Basic c2VjcmV0\r\n", "Authorization: secret\r\n"}) {
    EXPECT_EQ(status(wrong), "401") << wrong;
  }
}

TEST(MetricsPageTest, ListensOnIpv6) {
  const auto page = MetricsPage::Start({.host = "[::1]"});
  if (absl::IsUnavailable(page.status())) GTEST_SKIP() << "This machine has no IPv6.";
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_GT((*page)->port(), 0);
}

TEST(MetricsPageTest, RefusesACertificateThatIsNone) {
  const auto with = [](absl::StatusOr<tls::Identity> identity) {
    return MetricsPage::Start({.host = "127.0.0.1", .identity = [=] { return identity; }}).status();
  };
  EXPECT_TRUE(absl::IsInvalidArgument(with(tls::Identity{"no certificate", "no key"})));
  EXPECT_TRUE(absl::IsNotFound(with(absl::NotFoundError("no file"))));
}

TEST(MetricsPageTest, AnswersSeveralAtOnce) {
  const auto page = Start();
  ASSERT_TRUE(page.ok()) << page.status();
  std::vector<std::thread> scrapers;
  std::atomic<int> complete = 0;
  for (int i = 0; i < 8; ++i) {
    scrapers.emplace_back([&] {
      for (int n = 0; n < 20; ++n) {
        if (Scrape((*page)->port()).find("atelier_build_info{") != std::string::npos) ++complete;
      }
    });
  }
  for (std::thread& scraper : scrapers) scraper.join();
  EXPECT_EQ(complete, 160);
}

// More of them than there are threads and places, so that without an end to its patience the server
// would never come to the last.
TEST(MetricsPageTest, ScrapersThatSayNothingDelayOthersOnlyForAWhile) {
  const auto page = Start(0, absl::Milliseconds(100));
  ASSERT_TRUE(page.ok()) << page.status();
  std::vector<int> silent;
  for (int i = 0; i < 20; ++i) silent.push_back(Connect((*page)->port(), "GET /metr"));
  EXPECT_THAT(Scrape((*page)->port()), HasSubstr("atelier_build_info{"));
  for (const int connection : silent) close(connection);
}

TEST(MetricsPageTest, ScrapersThatDoNotReadDelayOthersOnlyForAWhile) {
  const auto page = Start(0, absl::Milliseconds(100));
  ASSERT_TRUE(page.ok()) << page.status();
  auto& family =
      prometheus::BuildGauge().Name("atelier_long").Help("").Register((*page)->registry());
  for (int i = 0; i < 100; ++i) family.Add({{"n", std::to_string(i) + std::string(100'000, 'x')}});
  std::vector<int> lazy;
  for (int i = 0; i < 8; ++i) {
    lazy.push_back(Connect((*page)->port(), "GET /metrics HTTP/1.0\r\n\r\n"));
  }
  EXPECT_THAT(Scrape((*page)->port()), HasSubstr("atelier_build_info{"));
  for (const int connection : lazy) close(connection);
}

}  // namespace
}  // namespace atelier::metrics
