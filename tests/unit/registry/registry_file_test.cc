#include "server/registry/registry_file.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/files/sha256.h"
#include "tests/unit/registry/registries.h"

namespace atelier::registry {
namespace {

using ::testing::HasSubstr;

std::string Complaint(const published::v1::Registry& registry) {
  return std::string(ReadRegistry(RegistryBytes(registry)).status().message());
}

TEST(RegistryFileTest, ReadsWhatWasWritten) {
  const auto registry = MakeRegistry("cnn", 2);
  const auto read = ReadRegistry(RegistryBytes(registry));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->SerializeAsString(), registry.SerializeAsString());
}

TEST(RegistryFileTest, EveryFlippedByteAndEveryCutIsNoticed) {
  const std::string bytes = RegistryBytes(MakeRegistry("cnn", 2));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_FALSE(ReadRegistry(bytes.substr(0, i)).ok()) << i;
    std::string flipped = bytes;
    flipped[i] ^= 1;
    EXPECT_FALSE(ReadRegistry(flipped).ok()) << i;
  }
}

TEST(RegistryFileTest, ALaterFormatIsNamed) {
  published::v1::RegistryFile file;
  file.set_format(2);
  const auto read = ReadRegistry(file.SerializeAsString());
  EXPECT_EQ(read.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(read.status().message(), HasSubstr("format 2, of a later version of Atelier"));
}

TEST(RegistryFileTest, WhatALaterVersionAddsIsRead) {
  published::v1::RegistryFile file;
  file.ParseFromString(RegistryBytes(MakeRegistry("cnn", 1)));
  file.mutable_registry()->append("\x7a\x01x");  // A field 15.
  file.set_sha256(models::Sha256Of(file.registry()));
  EXPECT_TRUE(ReadRegistry(file.SerializeAsString()).ok());
}

TEST(RegistryFileTest, NamesThatLeadElsewhereAreRefused) {
  auto registry = MakeRegistry("cnn", 1);
  registry.mutable_models(0)->set_name("models/../../etc");
  EXPECT_THAT(Complaint(registry), HasSubstr("is no model's name"));
}

TEST(RegistryFileTest, VersionsThatThereCannotBeAreRefused) {
  const auto with = [](auto change) {
    auto registry = MakeRegistry("cnn", 2);
    change(registry.mutable_models(0)->mutable_versions(1));
    return Complaint(registry);
  };
  EXPECT_EQ(with([](v1::ModelVersion*) {}), "");
  EXPECT_NE(with([](v1::ModelVersion* version) { version->set_sha256("abc"); }), "");
  EXPECT_NE(with([](v1::ModelVersion* version) { version->set_sha256(std::string(64, '/')); }), "");
  EXPECT_NE(with([](v1::ModelVersion* version) { version->set_job("jobs/../x"); }), "");
  EXPECT_NE(with([](v1::ModelVersion* version) { version->set_size_bytes(0); }), "");
  EXPECT_NE(with([](v1::ModelVersion* version) { *version = MakeVersion("cnn", 3); }), "")
      << "in another order";
  EXPECT_NE(with([](v1::ModelVersion* version) { *version = MakeVersion("other", 1); }), "");
}

TEST(RegistryFileTest, ModelsAreInOrder) {
  auto registry = MakeRegistry("cnn", 1);
  *registry.add_models() = MakeModel("bnn", 1);
  EXPECT_THAT(Complaint(registry), HasSubstr("not in order"));
}

}  // namespace
}  // namespace atelier::registry
