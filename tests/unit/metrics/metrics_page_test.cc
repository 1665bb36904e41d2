#include "server/metrics/metrics_page.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prometheus/gauge.h"

namespace atelier::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kRequest[] = "GET /metrics HTTP/1.0\r\n\r\n";

// What a scrape of a port of this machine gets.
std::string Scrape(int port) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
      write(connection, kRequest, sizeof(kRequest) - 1) > 0) {
    char buffer[4096];
    for (ssize_t count; (count = read(connection, buffer, sizeof(buffer))) > 0;) {
      answer.append(buffer, static_cast<std::size_t>(count));
    }
  }
  close(connection);
  return answer;
}

absl::StatusOr<std::unique_ptr<MetricsPage>> Start(int port = 0) {
  return MetricsPage::Start(
      {.host = "127.0.0.1", .port = port, .version = "1.2.3", .libtorch_version = "9.9"});
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

}  // namespace
}  // namespace atelier::metrics
