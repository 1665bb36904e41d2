// A data directory, its list and a fake store: what tests of objects share.
#ifndef ATELIER_TESTS_UNIT_OBJECTS_OBJECT_TEST_SERVER_H_
#define ATELIER_TESTS_UNIT_OBJECTS_OBJECT_TEST_SERVER_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "server/objects/s3_client.h"
#include "server/store/sqlite_store.h"
#include "tests/unit/jobs/fakes.h"
#include "tests/unit/objects/fake_s3.h"
#include "tests/unit/store/temporary_folder.h"

namespace atelier::objects {

inline constexpr char kPath[] = "models/cnn/1/model.tar.gz";

inline std::string Credential(const std::string& name) {
  if (name == "AWS_ACCESS_KEY_ID") return "key";
  return name == "AWS_SECRET_ACCESS_KEY" ? "secret" : "";
}

class ObjectTest : public testing::Test {
 protected:
  ObjectTest() { OpenList(); }

  void OpenList() {
    list_.reset();
    list_ = *store::SqliteStore::Open(folder_ / "atelier.db");
  }
  // A file of the data directory that is to be uploaded.
  jobs::ObjectRecord Add(const std::string& path, const std::string& content) {
    store::WriteFile(folder_ / path, content);
    EXPECT_TRUE(
        list_->AddObject(path, "k/" + path, static_cast<std::int64_t>(content.size()), clock_.Now())
            .ok());
    return *list_->FindObject(path);
  }
  const std::string& Stored(const std::string& path) { return s3_.objects["prefix/k/" + path]; }

  store::TemporaryFolder folder_;
  jobs::FakeClock clock_;
  FakeS3 s3_;
  std::unique_ptr<store::SqliteStore> list_;
  S3Client client_{
      *S3Options::Create("s3://bucket/prefix", {{"s3_endpoint", "http://store"}}, &Credential),
      &s3_, &clock_, &Credential};
};

}  // namespace atelier::objects

#endif  // ATELIER_TESTS_UNIT_OBJECTS_OBJECT_TEST_SERVER_H_
