#include "models/files/regular_file.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/archive/model_archive.h"
#include "models/files/durable_file.h"
#include "tests/unit/models/temporary_folder.h"

namespace atelier::models {
namespace {

using ::testing::HasSubstr;

TEST(RegularFileTest, ReadsAFileByPiece) {
  const TemporaryFolder folder;
  folder.Write("file", "abcdef");
  const auto file = RegularFile::Open(folder.File("file"));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->size(), 6);
  std::string bytes(4, '-');
  EXPECT_EQ(file->Read(4, bytes.data(), 4).value(), 2U);
  EXPECT_EQ(bytes, "ef--");
  EXPECT_TRUE(file->ReadExactly(1, bytes.data(), 4).ok());
  EXPECT_EQ(bytes, "bcde");
  EXPECT_TRUE(absl::IsOutOfRange(file->ReadExactly(3, bytes.data(), 4)));
}

TEST(RegularFileTest, SaysWhatIsThereInstead) {
  const TemporaryFolder folder;
  ASSERT_EQ(mkfifo(folder.File("fifo").c_str(), 0600), 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, folder.File("socket").c_str(), sizeof(address.sun_path) - 1);
  const int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  for (const auto& [path, what] : {std::pair(folder.path(), "is a folder, not a file"),
                                   std::pair(folder.File("fifo"), "is a FIFO, not a file"),
                                   std::pair(folder.File("socket"), "is a socket, not a file"),
                                   std::pair(std::string("/dev/zero"), "is a device, not a file"),
                                   std::pair(folder.File("nothing"), "does not exist")}) {
    const absl::Status status = RegularFile::Open(path).status();
    EXPECT_THAT(std::string(status.message()), HasSubstr(path + " " + what));
    EXPECT_EQ(ReadWholeFile(path, 1 << 20).status().message(), status.message());
    EXPECT_THAT(std::string(ReadModelArchive(path).status().message()), HasSubstr(what));
  }
  close(descriptor);
}

}  // namespace
}  // namespace atelier::models
