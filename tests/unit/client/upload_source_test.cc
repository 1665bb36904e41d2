// Tests of what is uploaded: files as they are, folders as archives that never change.
#include "client/files/upload_source.h"

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "models/files/sha256.h"

namespace atelier::client {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class UploadSourceTest : public testing::Test {
 protected:
  UploadSourceTest() {
    static int count = 0;
    folder_ = fs::temp_directory_path() / absl::StrCat("atelier-source-", getpid(), "-", ++count);
    fs::create_directories(folder_);
  }
  ~UploadSourceTest() override { fs::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& bytes) {
    const fs::path path = folder_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
    return path.string();
  }

  // All of it, read in pieces of a size.
  static std::string ReadAll(UploadSource* source, std::size_t piece) {
    std::string bytes(static_cast<std::size_t>(source->size()), '?');
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      const std::size_t count = std::min(piece, bytes.size() - at);
      const absl::Status status =
          source->Read(static_cast<std::int64_t>(at), bytes.data() + at, count);
      EXPECT_TRUE(status.ok()) << status;
    }
    return bytes;
  }

  std::string Complaint(const std::vector<std::string>& paths) {
    const auto source = UploadSource::Open(paths);
    return std::string(source.status().message());
  }

  // The archive's files, as `tar` lists them with their contents.
  std::string Untar(UploadSource* source) {
    const std::string archive = Write("out.tar", ReadAll(source, 1000));
    const fs::path into = folder_ / "untarred";
    fs::create_directories(into);
    const std::string command = absl::StrCat(
        "tar -xf ", archive, " -C ", into.string(), " && cd ", into.string(),
        " && find . -type f | LC_ALL=C sort | while read -r f; do printf '%s=' \"$f\"; "
        "cat \"$f\"; echo; done");
    FILE* pipe = popen(command.c_str(), "r");
    std::string text;
    for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) text.push_back(static_cast<char>(c));
    EXPECT_EQ(pclose(pipe), 0);
    return text;
  }

  fs::path folder_;
};

TEST_F(UploadSourceTest, AFileIsSentAsItIs) {
  auto source = UploadSource::Open({Write("digits.npz", "bytes of it")});
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_EQ(source->name(), "digits.npz");
  EXPECT_EQ(ReadAll(&*source, 4), "bytes of it");
}

TEST_F(UploadSourceTest, AFolderIsATarThatOthersRead) {
  const std::string long_name(150, 'x');
  Write("pets/cat/1.png", "meow");
  Write("pets/dog/2.png", std::string(512, 'w'));
  Write("pets/dog/empty.png", "");
  Write("pets/dog/" + long_name, "long");
  Write("pets/größe/a b.png", "umlaut");
  Write("pets/.DS_Store", "hidden");
  auto source = UploadSource::Open({(folder_ / "pets").string() + "/"});
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_EQ(source->name(), "pets");
  EXPECT_EQ(source->files(), 5);
  EXPECT_EQ(Untar(&*source), absl::StrCat("./cat/1.png=meow\n./dog/2.png=", std::string(512, 'w'),
                                          "\n./dog/empty.png=\n./dog/", long_name,
                                          "=long\n./größe/a b.png=umlaut\n"));
}

TEST_F(UploadSourceTest, EveryPieceIsTheSameHoweverItIsRead) {
  for (int i = 0; i < 5; ++i) {
    Write(absl::StrCat("pets/", i, ".png"), std::string(static_cast<std::size_t>(i * 300), 'x'));
  }
  auto source = UploadSource::Open({(folder_ / "pets").string()});
  ASSERT_TRUE(source.ok()) << source.status();
  const std::string all = ReadAll(&*source, 1 << 20);
  EXPECT_EQ(ReadAll(&*source, 7), all);
  char byte = 0;
  for (std::size_t at = all.size(); at-- > 0;) {
    ASSERT_TRUE(source->Read(static_cast<std::int64_t>(at), &byte, 1).ok());
    ASSERT_EQ(byte, all[at]) << at;
  }
  EXPECT_EQ(*source->Sha256([](auto) {}, [] { return false; }), models::Sha256Of(all));
}

TEST_F(UploadSourceTest, TimesAndTheOrderOfCreationChangeNothing) {
  Write("a/1.png", "one");
  Write("a/2.png", "two");
  Write("b/2.png", "two");
  Write("b/1.png", "one");
  fs::last_write_time(folder_ / "b/1.png",
                      fs::file_time_type::clock::now() - std::chrono::hours(9));
  auto a = UploadSource::Open({(folder_ / "a").string()});
  auto b = UploadSource::Open({(folder_ / "b").string()});
  EXPECT_EQ(ReadAll(&*a, 100), ReadAll(&*b, 100));
}

TEST_F(UploadSourceTest, SeveralPathsKeepTheirNames) {
  Write("pets/cat.png", "meow");
  auto source = UploadSource::Open({(folder_ / "pets").string(), Write("labels.csv", "a,b")});
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_EQ(source->name(), "pets and 1 more");
  EXPECT_EQ(Untar(&*source), "./labels.csv=a,b\n./pets/cat.png=meow\n");
}

TEST_F(UploadSourceTest, RefusesWhatCannotBeSentBeforeAnythingIs) {
  EXPECT_THAT(Complaint({(folder_ / "none").string()}), HasSubstr("none: No such file"));
  EXPECT_THAT(Complaint({Write("empty.npz", "")}), HasSubstr("The file is empty"));
  fs::create_directories(folder_ / "bare");
  EXPECT_THAT(Complaint({(folder_ / "bare").string()}), HasSubstr("The folder has no files"));
  Write("linked/1.png", "x");
  fs::create_symlink("/etc/passwd", folder_ / "linked/2.png");
  EXPECT_THAT(Complaint({(folder_ / "linked").string()}), HasSubstr("2.png: It is a link"));
  Write("x/same", "1");
  Write("y/same", "2");
  EXPECT_THAT(Complaint({(folder_ / "x/same").string(), (folder_ / "y/same").string()}),
              HasSubstr("It would have the same name as"));
}

TEST_F(UploadSourceTest, AFileThatBecameShorterIsNamed) {
  const std::string path = Write("digits.npz", std::string(1000, 'x'));
  auto source = UploadSource::Open({path});
  ASSERT_TRUE(source.ok()) << source.status();
  fs::resize_file(path, 10);
  char bytes[100];
  const absl::Status status = source->Read(900, bytes, sizeof(bytes));
  EXPECT_THAT(std::string(status.message()), HasSubstr("digits.npz: It changed while it was read"));
}

TEST_F(UploadSourceTest, TheDigestCanBeInterrupted) {
  auto source = UploadSource::Open({Write("digits.npz", "x")});
  EXPECT_TRUE(absl::IsCancelled(source->Sha256([](auto) {}, [] { return true; }).status()));
}

}  // namespace
}  // namespace atelier::client
