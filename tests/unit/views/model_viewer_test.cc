// Looking into models, on real archives.
#include "server/views/model_viewer.h"

#include <filesystem>
#include <functional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/archive/filters.h"
#include "models/network/block_network.h"
#include "models/pictures/image_codec.h"
#include "server/serving/input_error.h"
#include "tests/unit/models/temporary_folder.h"
#include "tests/unit/serving/fakes.h"
#include "tests/unit/serving/tiny_archive.h"

namespace atelier::views {
namespace {

using serving::EncodedImages;
using serving::FakeVersions;
using serving::FieldOf;
using serving::kTinyClasses;
using serving::RawImages;
using serving::TinyConvolutions;
using serving::WriteArchive;
using serving::WriteTinyArchive;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ModelViewerTest : public testing::Test {
 protected:
  ModelViewerTest() {
    Add("net", 1, WriteArchive(Path("net", 1), network_));
    Add("net", 2, WriteArchive(Path("net", 2), TinyConvolutions(2)));
    Add("dense", 1, WriteTinyArchive(Path("dense", 1)));
  }

  std::string Path(const std::string& model, int number) const {
    return folder_.File(absl::StrCat(model, number));
  }

  void Add(const std::string& model, int number, const absl::StatusOr<models::ArchiveInfo>& info) {
    ASSERT_TRUE(info.ok()) << info.status();
    versions_.Add({model, number, Path(model, number), info->sha256});
  }

  FeatureMapsRequest OfPixels() const {
    FeatureMapsRequest request;
    request.model = "net";
    request.image = RawImages{pixels_};
    return request;
  }

  ExplainRequest ToExplain() const {
    ExplainRequest request;
    request.model = "net";
    request.image = RawImages{pixels_};
    return request;
  }

  const models::TrainedModel network_ = TinyConvolutions(1);
  const std::vector<std::uint8_t> pixels_ = {0, 10, 20, 30, 40, 50, 60, 70,
                                             0, 9,  8,  7,  6,  5,  4,  255};
  models::TemporaryFolder folder_;
  FakeVersions versions_;
  ModelViewer viewer_{&versions_, /*max_kept=*/1};
};

TEST_F(ModelViewerTest, ShowsTheFiltersOfALayer) {
  const auto first = viewer_.Filters({.model = "net"});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->version.number, 1);
  EXPECT_EQ(first->layer, 1);
  EXPECT_EQ(first->layers, 2);
  EXPECT_EQ(first->filters, **models::FiltersOf(network_, 1));
  EXPECT_EQ(first->scale, models::Magnitude(first->filters));
  EXPECT_EQ(first->picture.layout.zoom, 12);
  const auto second =
      viewer_.Filters({.model = "net", .reference = "2", .layer = 2, .zoom = 3, .values = false});
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->version.number, 2);
  EXPECT_THAT(second->filters.shape, ElementsAre(3, 2, 3, 3));
  EXPECT_THAT(second->filters.values, IsEmpty());
  EXPECT_EQ(second->picture.layout.zoom, 3);
}

TEST_F(ModelViewerTest, ShowsWhatBlocksMakeOfAnImage) {
  FeatureMapsRequest request = OfPixels();
  const auto all = viewer_.FeatureMaps(request);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->blocks, 2);
  ASSERT_THAT(all->maps, SizeIs(2));
  EXPECT_EQ(all->maps[0].map.shape, (models::ImageShape{2, 2, 2}));
  EXPECT_EQ(all->maps[1].map.shape, (models::ImageShape{3, 2, 2}));
  request.block = 2;
  const auto second = viewer_.FeatureMaps(request);
  ASSERT_TRUE(second.ok()) << second.status();
  ASSERT_THAT(second->maps, SizeIs(1));
  EXPECT_EQ(second->maps[0].map.block, 2);
  EXPECT_EQ(second->maps[0].map.values, all->maps[1].map.values);
}

TEST_F(ModelViewerTest, TakesFilesAsClassificationDoes) {
  const auto file = models::EncodePng(models::FromPlanar({1, 4, 4}, pixels_));
  ASSERT_TRUE(file.ok());
  FeatureMapsRequest request = OfPixels();
  const auto raw = viewer_.FeatureMaps(request);
  request.image = EncodedImages{{*file}, {}};
  const auto encoded = viewer_.FeatureMaps(request);
  ASSERT_TRUE(raw.ok() && encoded.ok()) << encoded.status();
  EXPECT_EQ(encoded->maps[1].map.values, raw->maps[1].map.values);
}

TEST_F(ModelViewerTest, NamesTheWrongField) {
  const auto field = [](const auto& result) { return FieldOf(result.status()); };
  EXPECT_EQ(field(viewer_.Filters({.model = "net", .layer = 3})), "layer");
  EXPECT_EQ(field(viewer_.Filters({.model = "net", .layer = -1})), "layer");
  EXPECT_EQ(field(viewer_.Filters({.model = "net", .zoom = 33})), "zoom");
  EXPECT_THAT(std::string(viewer_.Filters({.model = "net", .layer = 3}).status().message()),
              HasSubstr("layers 1 to 2"));
  FeatureMapsRequest request = OfPixels();
  request.block = 3;
  EXPECT_EQ(field(viewer_.FeatureMaps(request)), "block");
  request = OfPixels();
  request.zoom = -1;
  EXPECT_EQ(field(viewer_.FeatureMaps(request)), "zoom");
  const std::vector<std::uint8_t> two(32);
  for (const auto size : {0U, 15U, 32U}) {
    request = OfPixels();
    request.image = RawImages{absl::MakeConstSpan(two).subspan(0, size)};
    EXPECT_EQ(field(viewer_.FeatureMaps(request)), "raw.pixels") << size;
  }
  request.image = EncodedImages{{absl::MakeConstSpan("no", 2)}, {}};
  EXPECT_EQ(field(viewer_.FeatureMaps(request)), "encoded.files[0]");
  request.image = EncodedImages{{absl::MakeConstSpan("a", 1), absl::MakeConstSpan("b", 1)}, {}};
  EXPECT_EQ(field(viewer_.FeatureMaps(request)), "encoded.files");
}

TEST_F(ModelViewerTest, ExplainsAnAnswer) {
  ExplainRequest request = ToExplain();
  const auto last = viewer_.Explain(request);
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_EQ(last->version.number, 1);
  EXPECT_EQ(last->blocks, 2);
  EXPECT_EQ(last->block, 2);
  EXPECT_EQ(last->explanation.heat.height, 2);
  EXPECT_EQ(last->class_names[0], "shirt");
  EXPECT_EQ(last->overlay.zoom, 8);
  request.target = "boot";
  const auto named = viewer_.Explain(request);
  request.target = "2";
  const auto numbered = viewer_.Explain(request);
  ASSERT_TRUE(named.ok() && numbered.ok()) << numbered.status();
  EXPECT_EQ(named->explanation.target, 2);
  EXPECT_EQ(numbered->explanation.target, 2);
  request.block = 1;
  EXPECT_NE(viewer_.Explain(request)->explanation.heat.values, numbered->explanation.heat.values);
}

TEST_F(ModelViewerTest, ExplainsByOcclusionWithAndWithoutConvolutions) {
  ExplainRequest request = ToExplain();
  request.method = ExplainRequest::Method::kOcclusion;
  const auto usual = viewer_.Explain(request);
  ASSERT_TRUE(usual.ok()) << usual.status();
  EXPECT_EQ(usual->occluder.window, 1);
  EXPECT_EQ(usual->occluder.stride, 1);
  EXPECT_EQ(usual->explanation.heat.values.size(), 16U);
  request.window = 4;
  request.stride = 2;
  EXPECT_EQ(viewer_.Explain(request)->explanation.heat.values.size(), 1U);
  const std::vector<std::uint8_t> pixels(4);
  ExplainRequest dense = {.model = "dense", .method = ExplainRequest::Method::kOcclusion};
  dense.image = RawImages{pixels};
  EXPECT_TRUE(viewer_.Explain(dense).ok());
  dense.method = ExplainRequest::Method::kGradCam;
  EXPECT_EQ(viewer_.Explain(dense).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ModelViewerTest, NamesTheWrongFieldOfAnExplanation) {
  using Method = ExplainRequest::Method;
  const auto field = [&](const std::function<void(ExplainRequest*)>& change) {
    ExplainRequest request = ToExplain();
    change(&request);
    return FieldOf(viewer_.Explain(request).status());
  };
  EXPECT_EQ(field([](auto* r) { r->block = 3; }), "block");
  EXPECT_EQ(field([](auto* r) { r->zoom = 33; }), "zoom");
  EXPECT_EQ(field([](auto* r) { r->target = "coat"; }), "target_class");
  EXPECT_EQ(field([](auto* r) { r->target = "3"; }), "target_class");
  EXPECT_EQ(field([](auto* r) { r->window = 2; }), "window");
  EXPECT_EQ(field([](auto* r) { r->stride = 1; }), "stride");
  const auto occlusion = [&](const std::function<void(ExplainRequest*)>& change) {
    return field([&](ExplainRequest* request) {
      request->method = Method::kOcclusion;
      change(request);
    });
  };
  EXPECT_EQ(occlusion([](auto* r) { r->block = 1; }), "block");
  EXPECT_EQ(occlusion([](auto* r) { r->window = 5; }), "window");
  EXPECT_EQ(occlusion([](auto* r) { r->window = -1; }), "window");
  EXPECT_EQ(occlusion([](auto* r) {
              r->window = 2;
              r->stride = 3;
            }),
            "stride");
  EXPECT_EQ(occlusion([](auto* r) { r->image = RawImages{}; }), "raw.pixels");
}

TEST_F(ModelViewerTest, RefusesMorePositionsThanItComputes) {
  models::Architecture large;
  large.input = {1, 80, 80};
  large.classes = kTinyClasses;
  large.network = models::BlockNetwork{{}, {2}}.ToNetwork("");
  Add("large", 1, WriteArchive(Path("large", 1), models::TrainedModel::Initial(large, 1)));
  const std::vector<std::uint8_t> pixels(6400);
  ExplainRequest request = {.model = "large", .method = ExplainRequest::Method::kOcclusion};
  request.image = RawImages{pixels};
  request.window = 2;
  request.stride = 1;
  const auto refused = viewer_.Explain(request);
  EXPECT_EQ(FieldOf(refused.status()), "stride");
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("6241 positions"));
  request.stride = 2;
  EXPECT_TRUE(viewer_.Explain(request).ok());
}

TEST_F(ModelViewerTest, RefusesToSendTooManyNumbersButDrawsThem) {
  models::Architecture wide;
  wide.input = {1, 2, 2};
  wide.classes = kTinyClasses;
  wide.network = models::BlockNetwork{{{300, 0}, {200, 0}}, {}}.ToNetwork("");
  Add("wide", 1, WriteArchive(Path("wide", 1), models::TrainedModel::Initial(wide, 1)));
  FiltersRequest request = {.model = "wide", .reference = "1", .layer = 2};
  EXPECT_EQ(FieldOf(viewer_.Filters(request).status()), "values");
  request.values = false;
  const auto filters = viewer_.Filters(request);
  ASSERT_TRUE(filters.ok()) << filters.status();
  EXPECT_EQ(filters->picture.layout.columns, 300);
  EXPECT_LE(filters->picture.layout.picture_height() * filters->picture.layout.picture_width(),
            ModelViewer::kMaxPixels);
}

TEST_F(ModelViewerTest, ADenseNetworkHasNothingToShow) {
  const auto filters = viewer_.Filters({.model = "dense"});
  EXPECT_EQ(filters.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(filters.status().message()), HasSubstr("no convolutions"));
  const std::vector<std::uint8_t> pixels(4);
  FeatureMapsRequest request = {.model = "dense"};
  request.image = RawImages{pixels};
  EXPECT_EQ(viewer_.FeatureMaps(request).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ModelViewerTest, AVersionThatIsNotThereIsNotFound) {
  EXPECT_EQ(viewer_.Filters({.model = "none"}).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(viewer_.Filters({.model = "net"}).ok());
  versions_.Remove("net", 1);
  EXPECT_EQ(viewer_.Filters({.model = "net"}).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ModelViewerTest, AnArchiveThatChangedIsUnavailable) {
  ASSERT_TRUE(viewer_.Filters({.model = "net"}).ok());
  std::string bytes = folder_.Read("net1");
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  folder_.Write("net1.new", bytes);
  std::filesystem::rename(folder_.File("net1.new"), folder_.File("net1"));
  EXPECT_EQ(viewer_.Filters({.model = "net"}).status().code(), absl::StatusCode::kUnavailable);
  std::filesystem::remove(folder_.File("net1"));
  EXPECT_EQ(viewer_.Filters({.model = "net"}).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(viewer_.Filters({.model = "net", .reference = "2"}).ok());
}

}  // namespace
}  // namespace atelier::views
