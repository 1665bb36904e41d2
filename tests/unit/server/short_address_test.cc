#include "server/base/short_address.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>

namespace atelier::server {
namespace {

// Calls bind or connect with a socket's path; the descriptor, or -1.
template <typename Call>
int Use(const std::string& address, Call call) {
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  const std::string path = address.substr(sizeof("unix:") - 1);
  if (path.size() >= sizeof(name.sun_path)) return -1;
  std::memcpy(name.sun_path, path.c_str(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (call(fd, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0) return fd;
  close(fd);
  return -1;
}

TEST(ShortAddressTest, LeavesWhatIsShortEnoughAlone) {
  for (const char* address : {"127.0.0.1:50051", "unix:/run/atelier/worker.sock"}) {
    EXPECT_EQ(ShortAddress::Of(address)->text(), address);
  }
}

TEST(ShortAddressTest, TwoThatOpenedALongFolderMeetInIt) {
  std::string root = testing::TempDir() + "/short-XXXXXX";
  ASSERT_NE(mkdtemp(root.data()), nullptr);
  const std::string folder = root + "/" + std::string(200, 'x');
  std::filesystem::create_directory(folder);
  const auto server = ShortAddress::Of("unix:" + folder + "/worker.sock");
  const auto worker = ShortAddress::Of("unix:" + folder + "/worker.sock");
  ASSERT_TRUE(server.ok()) << server.status();
  ASSERT_TRUE(worker.ok()) << worker.status();
  const int listening = Use(server->text(), &bind);
  ASSERT_GE(listening, 0);
  ASSERT_EQ(listen(listening, 1), 0);
  EXPECT_TRUE(std::filesystem::is_socket(folder + "/worker.sock"));
  const int dialled = Use(worker->text(), &connect);
  EXPECT_GE(dialled, 0);
  close(dialled);
  close(listening);
  std::filesystem::remove_all(root);
}

TEST(ShortAddressTest, NamesAFolderThatIsNotThere) {
  const auto address = ShortAddress::Of("unix:/none/" + std::string(200, 'x') + "/worker.sock");
  EXPECT_EQ(address.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(address.status().message().find("/none/"), absl::string_view::npos);
}

}  // namespace
}  // namespace atelier::server
