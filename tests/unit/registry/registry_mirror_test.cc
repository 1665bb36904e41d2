#include "server/registry/registry_mirror.h"

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/jobs/error.h"
#include "server/registry/folder_registry.h"
#include "tests/unit/jobs/fakes.h"
#include "tests/unit/registry/registries.h"
#include "tests/unit/store/temporary_folder.h"

namespace atelier::registry {
namespace {

using jobs::ReasonOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RegistryMirrorTest : public testing::Test {
 protected:
  RegistryMirrorTest() {
    mirror_.SetListener(
        {.ready = [this] { told_.push_back("ready"); },
         .follow = [this](const std::string& model) { told_.push_back("follow " + model); },
         .forget =
             [this](const std::string& model, std::int64_t version) {
               told_.push_back(absl::StrCat("forget ", model, " ", version));
             }});
  }

  // As the publishing server does: another file takes the place of the one before.
  void Write(const std::string& bytes) {
    store::WriteFile(file_ + ".new", bytes);
    std::filesystem::rename(file_ + ".new", file_);
  }
  void Publish(const published::v1::Registry& registry) { Write(RegistryBytes(registry)); }
  std::int64_t Number(const std::string& reference) {
    const auto version = mirror_.Resolve("cnn", reference);
    return version.ok() ? version->number : 0;
  }
  std::vector<std::string> Told() { return std::exchange(told_, {}); }

  store::TemporaryFolder folder_;
  const std::string file_ = folder_ / kRegistryPath;
  jobs::FakeClock clock_;
  FakeObserver observer_;
  FolderRegistry place_{folder_.path()};
  std::vector<std::string> log_;
  std::vector<std::string> told_;
  RegistryMirror mirror_{{.log = [this](const std::string& line) { log_.push_back(line); }},
                         &clock_,
                         &place_,
                         &observer_};
};

TEST_F(RegistryMirrorTest, WithoutARegistryNothingIsKnown) {
  mirror_.Tick();
  EXPECT_FALSE(mirror_.ready());
  EXPECT_TRUE(absl::IsUnavailable(mirror_.Resolve("cnn", "").status()));
  EXPECT_TRUE(absl::IsUnavailable(mirror_.Models().status()));
  EXPECT_THAT(log_, ElementsAre(HasSubstr("Nothing is served")));
  EXPECT_EQ(observer_.unreadable_since, clock_.Now());
  Publish(MakeRegistry("cnn", 1));
  mirror_.Tick();
  EXPECT_TRUE(mirror_.ready());
  EXPECT_THAT(Told(), ElementsAre("ready"));
  EXPECT_EQ(observer_.unreadable_since, std::nullopt);
}

TEST_F(RegistryMirrorTest, ResolvesAsTheRegistryItselfDoes) {
  auto registry = MakeRegistry("cnn", 3);
  v1::ModelAlias* const alias = registry.mutable_models(0)->add_aliases();
  alias->set_alias("production");
  alias->set_version(2);
  *registry.add_models() = MakeModel("dnn", 1);
  registry.mutable_models(1)->clear_aliases();
  Publish(registry);
  mirror_.Tick();
  EXPECT_EQ(observer_.versions, 4);
  EXPECT_EQ(Number(""), 3);
  EXPECT_EQ(Number("latest"), 3);
  EXPECT_EQ(Number("1"), 1);
  EXPECT_EQ(Number("production"), 2);
  EXPECT_EQ(ReasonOf(mirror_.Resolve("cnn", "4").status()), "VERSION_NOT_FOUND");
  EXPECT_EQ(ReasonOf(mirror_.Resolve("cnn", "canary").status()), "ALIAS_NOT_FOUND");
  EXPECT_EQ(ReasonOf(mirror_.Resolve("other", "").status()), "MODEL_NOT_FOUND");
  EXPECT_EQ(ReasonOf(mirror_.Resolve("dnn", "").status()), "NO_LATEST_VERSION");
  EXPECT_THAT(*mirror_.Models(), ElementsAre("cnn", "dnn"));
  const auto versions = mirror_.Versions("cnn");
  ASSERT_EQ(versions->size(), 3);
  EXPECT_EQ(versions->front().number, 1) << "oldest first";
  EXPECT_EQ(versions->front().archive_path, folder_ / "models/cnn/1/model.tar.gz");
  EXPECT_EQ(versions->front().sha256, std::string(64, 'a'));
}

TEST_F(RegistryMirrorTest, TellsOfAliasesThatMoved) {
  Publish(MakeRegistry("cnn", 2));
  mirror_.Tick();
  Told();
  auto registry = MakeRegistry("cnn", 2);
  registry.mutable_models(0)->mutable_aliases(0)->set_version(1);
  Publish(registry);
  mirror_.Tick();
  EXPECT_EQ(Number(""), 1);
  EXPECT_THAT(Told(), ElementsAre("follow cnn"));
  Publish(registry);
  mirror_.Tick();
  EXPECT_THAT(Told(), IsEmpty()) << "another file, but the same registry";
}

TEST_F(RegistryMirrorTest, ForgetsWhatWasDeleted) {
  Publish(MakeRegistry("cnn", 2));
  mirror_.Tick();
  Told();
  auto registry = MakeRegistry("cnn", 2);
  registry.mutable_models(0)->mutable_versions()->RemoveLast();
  Publish(registry);
  mirror_.Tick();
  EXPECT_THAT(Told(), ElementsAre("follow cnn", "forget cnn 1"));
  EXPECT_EQ(ReasonOf(mirror_.Resolve("cnn", "1").status()), "VERSION_NOT_FOUND");
  Publish({});
  mirror_.Tick();
  EXPECT_THAT(Told(), ElementsAre("follow cnn", "forget cnn 2"));
  EXPECT_EQ(observer_.versions, 0);
}

TEST_F(RegistryMirrorTest, ADamagedOrLaterFileChangesNothingAndIsSaid) {
  Publish(MakeRegistry("cnn", 1));
  mirror_.Tick();
  Told();
  const std::string damaged = RegistryBytes(MakeRegistry("cnn", 2));
  Write(damaged.substr(0, damaged.size() - 1));
  mirror_.Tick();
  clock_.Advance(absl::Minutes(2));
  mirror_.Tick();
  EXPECT_EQ(Number(""), 1);
  EXPECT_THAT(log_, ElementsAre(HasSubstr("it is damaged"))) << "said once";
  EXPECT_THAT(log_.front(), HasSubstr("What is known of it is served on"));
  EXPECT_EQ(observer_.unreadable_since, clock_.Now() - absl::Minutes(2));
  published::v1::RegistryFile later;
  later.set_format(9);
  Write(later.SerializeAsString());
  mirror_.Tick();
  EXPECT_EQ(Number(""), 1);
  EXPECT_THAT(log_.back(), HasSubstr("format 9"));
  EXPECT_THAT(Told(), IsEmpty());
  Publish(MakeRegistry("cnn", 2));
  mirror_.Tick();
  EXPECT_EQ(Number(""), 2);
  EXPECT_THAT(log_.back(), HasSubstr("is followed again, after 2m"));
}

TEST_F(RegistryMirrorTest, AFolderThatIsAwayTakesNothingAway) {
  Publish(MakeRegistry("cnn", 1));
  mirror_.Tick();
  Told();
  std::filesystem::rename(folder_ / "models", folder_ / "away");
  mirror_.Tick();
  mirror_.Tick();
  EXPECT_EQ(Number(""), 1);
  EXPECT_THAT(log_, ElementsAre(HasSubstr("there is no")));
  EXPECT_EQ(observer_.unreadable_since, clock_.Now());
  std::filesystem::rename(folder_ / "away", folder_ / "models");
  mirror_.Tick();
  EXPECT_EQ(observer_.unreadable_since, std::nullopt);
  EXPECT_THAT(Told(), IsEmpty());
}

TEST_F(RegistryMirrorTest, TheNextOneBeginsWithACopy) {
  const std::string copy = folder_ / "copy.pb";
  const auto mirror = [&] {
    return RegistryMirror({.copy_path = copy, .log = [](const std::string&) {}}, &clock_, &place_,
                          &observer_);
  };
  RegistryMirror none = mirror();
  none.Tick();
  EXPECT_FALSE(none.ready());
  Publish(MakeRegistry("cnn", 2));
  mirror().Tick();
  std::filesystem::remove(file_);
  RegistryMirror next = mirror();
  next.Tick();
  EXPECT_EQ(next.Resolve("cnn", "")->number, 2);
  EXPECT_NE(observer_.unreadable_since, std::nullopt);
  Publish(MakeRegistry("cnn", 3));
  next.Tick();
  EXPECT_EQ(next.Resolve("cnn", "")->number, 3);
  store::WriteFile(copy, "damaged");
  std::filesystem::remove(file_);
  RegistryMirror last = mirror();
  last.Tick();
  EXPECT_FALSE(last.ready());
}

TEST_F(RegistryMirrorTest, AnOlderRegistryIsFollowedAsWell) {
  Publish(MakeRegistry("cnn", 3));
  mirror_.Tick();
  Publish(MakeRegistry("cnn", 2));
  mirror_.Tick();
  EXPECT_EQ(Number(""), 2) << "a server that was restored from a backup";
}

TEST_F(RegistryMirrorTest, ListsInPages) {
  auto registry = MakeRegistry("cnn", 3);
  *registry.add_models() = MakeModel("dnn", 1);
  Publish(registry);
  mirror_.Tick();
  const auto models = mirror_.ListModels(1, "");
  ASSERT_EQ(models->models_size(), 1);
  EXPECT_EQ(models->models(0).versions_size(), 1) << "the newest alone";
  EXPECT_EQ(models->models(0).version_count(), 3);
  const auto more = mirror_.ListModels(1, models->next_page_token());
  EXPECT_EQ(more->models(0).name(), "models/dnn");
  EXPECT_EQ(more->next_page_token(), "");
  const auto page = mirror_.GetModel("cnn", 2, "");
  EXPECT_EQ(page->versions_size(), 2);
  EXPECT_EQ(page->aliases_size(), 1);
  const auto rest = mirror_.GetModel("cnn", 2, page->next_page_token());
  ASSERT_EQ(rest->versions_size(), 1);
  EXPECT_EQ(rest->versions(0).version(), 1);
  EXPECT_TRUE(
      absl::IsInvalidArgument(mirror_.GetModel("dnn", 2, page->next_page_token()).status()));
}

}  // namespace
}  // namespace atelier::registry
