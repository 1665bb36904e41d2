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

std::string Scrape(int port, const std::string& path = "/metrics") {
  return ReadAll(Connect(port, "GET " + path + " HTTP/1.0\r\n\r\n"));
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
