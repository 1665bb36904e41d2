#include "server/kubernetes/http_api.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace atelier::kubernetes {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Answers one connection after the other with given bytes, whatever is asked.
class CannedServer {
 public:
  explicit CannedServer(std::vector<std::string> answers)
      : answers_(std::move(answers)), socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(socket_, 8), 0);
    EXPECT_EQ(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    url_ = absl::StrCat("http://127.0.0.1:", ntohs(address.sin_port));
    thread_ = std::thread([this] { Serve(); });
  }
  ~CannedServer() {
    shutdown(socket_, SHUT_RDWR);
    thread_.join();
    close(socket_);
  }

  const std::string& url() const { return url_; }
  // What was asked; read it after the answer.
  std::string asked(std::size_t i) const { return asked_.at(i); }

 private:
  void Serve() {
    for (const std::string& answer : answers_) {
      const int connection = accept(socket_, nullptr, nullptr);
      if (connection < 0) return;
      asked_.push_back(ReadRequest(connection));
      EXPECT_EQ(send(connection, answer.data(), answer.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(answer.size()));
      close(connection);
    }
  }

  // All of it: a body may come after its header.
  static std::string ReadRequest(int connection) {
    std::string request;
    std::size_t wanted = std::string::npos;
    while (request.size() < wanted) {
      char buffer[4096];
      const ssize_t got = recv(connection, buffer, sizeof(buffer), 0);
      if (got <= 0) break;
      request.append(buffer, static_cast<std::size_t>(got));
      const std::size_t header = request.find("\r\n\r\n");
      if (header == std::string::npos) continue;
      const std::size_t length = request.find("Content-Length: ");
      wanted = header + 4;
      if (length < header) {
        wanted += static_cast<std::size_t>(std::atoi(request.c_str() + length + 16));
      }
    }
    return request;
  }

  const std::vector<std::string> answers_;
  const int socket_;
  std::string url_;
  std::vector<std::string> asked_;
  std::thread thread_;
};

std::string Answer(const std::string& code, const std::string& body) {
  return absl::StrCat("HTTP/1.1 ", code, "\r\nContent-Length: ", body.size(),
                      "\r\nConnection: close\r\n\r\n", body);
}

ApiAddress At(const CannedServer& server, const std::string& token_file = "") {
  return {.url = server.url(), .token_file = token_file, .ca_file = {}};
}

TEST(HttpApiTest, SendsWhatIsAskedWithTheTokenOfTheMoment) {
  const std::string token = testing::TempDir() + "/token";
  CannedServer server({Answer("200 OK", R"({"a": 1})"), Answer("201 Created", "{}")});
  HttpApi api(At(server, token));
  std::ofstream(token) << "first\n";
  EXPECT_EQ(api.Call("GET", "/jobs?limit=5", nullptr)->at("a"), 1);
  std::ofstream(token) << "second\n";
  EXPECT_TRUE(api.Call("POST", "/jobs", {{"kind", "Job"}}).ok());
  EXPECT_THAT(server.asked(0), testing::StartsWith("GET /jobs?limit=5 HTTP/1.1\r\n"));
  EXPECT_THAT(server.asked(0), HasSubstr("Authorization: Bearer first\r\n"));
  EXPECT_THAT(server.asked(1), HasSubstr("Authorization: Bearer second\r\n"));
  EXPECT_THAT(server.asked(1), HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_THAT(server.asked(1), HasSubstr(R"({"kind":"Job"})"));
}

TEST(HttpApiTest, AnswersThatAreNoneAreUnavailable) {
  CannedServer server({Answer("200 OK", "{\"items\": ["),
                       "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", "SSH-2.0-OpenSSH_9.2\r\n",
                       Answer("503 Busy", "")});
  HttpApi api(At(server));
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(api.Call("GET", "/jobs", nullptr).status().code(), absl::StatusCode::kUnavailable)
        << i;
  }
  HttpApi without_token({.url = server.url(), .token_file = "/nowhere/token", .ca_file = {}});
  EXPECT_THAT(std::string(without_token.Call("GET", "/jobs", nullptr).status().message()),
              HasSubstr("/nowhere/token"));
}

TEST(HttpApiTest, WatchGivesLinesUntilThereAreEnough) {
  const std::string lines = "{\"type\":\"ADDED\"}\n{\"type\":\"MODIFIED\"}\n{\"type\":";
  CannedServer server({Answer("200 OK", lines), Answer("200 OK", lines),
                       Answer("410 Gone", R"({"message":"too old resource version"})")});
  HttpApi api(At(server));
  std::vector<std::string> seen;
  const auto see = [&](bool on) {
    return [&seen, on](absl::string_view line) {
      seen.emplace_back(line);
      return on;
    };
  };
  EXPECT_TRUE(api.Watch("/pods?watch=1", see(true)).ok());
  EXPECT_THAT(seen, ElementsAre(R"({"type":"ADDED"})", R"({"type":"MODIFIED"})"));
  seen.clear();
  EXPECT_TRUE(api.Watch("/pods?watch=1", see(false)).ok());
  EXPECT_THAT(seen, ElementsAre(R"({"type":"ADDED"})"));
  EXPECT_THAT(std::string(api.Watch("/pods?watch=1", see(true)).message()),
              HasSubstr("too old resource version"));
}

TEST(HttpApiTest, StopEndsCallsAtOnce) {
  CannedServer server({});
  HttpApi api(At(server));
  std::thread stopper([&api] { api.Stop(); });
  EXPECT_FALSE(api.Call("GET", "/jobs", nullptr).ok());
  stopper.join();
}

TEST(StatusOfTest, CodesSayWhatCanBeDone) {
  const char* const body = R"({"kind":"Status","message":"jobs.batch \"a\" already exists"})";
  EXPECT_TRUE(StatusOf(201, "").ok());
  EXPECT_EQ(StatusOf(404, body).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(StatusOf(409, body).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(StatusOf(422, body).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(StatusOf(403, body).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(StatusOf(409, body).message()),
              HasSubstr("Kubernetes answers 409: jobs.batch \"a\" already exists"));
  EXPECT_THAT(std::string(StatusOf(401, "<html>").message()), HasSubstr("not accept the token"));
  EXPECT_EQ(StatusOf(500, "").code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace atelier::kubernetes
