// Both ends of a TCP connection within this machine.
#ifndef ATELIER_TESTS_UNIT_RPC_TCP_CONNECTION_H_
#define ATELIER_TESTS_UNIT_RPC_TCP_CONNECTION_H_

#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace atelier::rpc {

class TcpConnection {
 public:
  TcpConnection() {
    const int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    socklen_t size = sizeof(address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(listening, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listening, 1), 0);
    EXPECT_EQ(getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size), 0);
    client_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(client_, reinterpret_cast<const sockaddr*>(&address), size), 0);
    server_ = accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
    EXPECT_EQ(getsockname(client_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    peer_ = absl::StrCat("ipv4:127.0.0.1:", ntohs(address.sin_port));
    close(listening);
  }
  ~TcpConnection() {
    close(client_);
    close(server_);
  }
  TcpConnection(const TcpConnection&) = delete;
  TcpConnection& operator=(const TcpConnection&) = delete;

  int server() const { return server_; }
  const std::string& peer() const { return peer_; }
  void Answer(const std::string& bytes) const {
    EXPECT_EQ(write(server_, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  void Ask(const std::string& bytes) const {
    EXPECT_EQ(write(client_, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  // Bytes that have come to the server's end.
  std::uint64_t Received() const {
    tcp_info info = {};
    socklen_t size = sizeof(info);
    EXPECT_EQ(getsockopt(server_, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    return info.tcpi_bytes_received;
  }
  // Whether the server's end can be used no more.
  bool IsBroken() const {
    char byte = 0;
    const ssize_t size = recv(server_, &byte, 1, MSG_DONTWAIT);
    return size == 0 || (size < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
  }
  // What has come; waits for something.
  std::string Read() const {
    pollfd polled = {client_, POLLIN, 0};
    EXPECT_EQ(poll(&polled, 1, -1), 1);
    return ReadNow();
  }
  std::string ReadNow() const {
    char bytes[100];
    const ssize_t size = recv(client_, bytes, sizeof(bytes), MSG_DONTWAIT);
    return std::string(bytes, size > 0 ? static_cast<std::size_t>(size) : 0);
  }
  bool IsCorked() const {
    int value = 0;
    socklen_t size = sizeof(value);
    EXPECT_EQ(getsockopt(server_, IPPROTO_TCP, TCP_CORK, &value, &size), 0);
    return value != 0;
  }

 private:
  int client_ = -1;
  int server_ = -1;
  std::string peer_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_TESTS_UNIT_RPC_TCP_CONNECTION_H_
