#include "models/network/presets.h"

#include <iterator>
#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/network/architecture.h"
#include "tests/unit/models/small_training.h"

namespace atelier::models {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;

TEST(PresetsTest, HaveNamesDepthsAndDescriptionsOfTheirOwn) {
  std::set<std::string> names;
  std::set<std::string> descriptions;
  std::set<int> depths;
  size_t with_depth = 0;
  for (const Preset& preset : Presets()) {
    EXPECT_THAT(preset.description, Not(IsEmpty())) << preset.name;
    names.insert(preset.name);
    descriptions.insert(preset.description);
    if (!preset.conv_depth.has_value()) continue;
    ++with_depth;
    depths.insert(*preset.conv_depth);
    EXPECT_EQ(static_cast<int>(preset.network.blocks.size()), *preset.conv_depth) << preset.name;
  }
  EXPECT_EQ(names.size(), Presets().size());
  EXPECT_EQ(descriptions.size(), Presets().size());
  EXPECT_EQ(depths, (std::set<int>{0, 1, 2, 3}));
  EXPECT_EQ(with_depth, depths.size());
}

TEST(PresetsTest, AreFoundByName) {
  for (const Preset& preset : Presets()) EXPECT_EQ(FindPreset(preset.name), &preset);
  EXPECT_EQ(FindPreset("cnn-9"), nullptr);
  EXPECT_EQ(FindPreset(""), nullptr);
}

struct Cost {
  std::string preset;
  int64_t grey28;
  int64_t color31x18;
};

// Counted layer by layer, apart from the program.
TEST(MultiplyAddsTest, CountsTheMultiplyAddsOfConvolutionsAndDenseLayers) {
  const Cost costs[] = {{"dense", 109'184, 225'472},
                        {"cnn-1", 427'776, 602'816},
                        {"cnn-2", 4'241'152, 3'205'824},
                        {"cnn-3", 8'255'232, 5'499'584},
                        {"cnn-3-pooled", 7'607'424, 5'144'320},
                        {"cnn-3-attention", 8'265'984, 5'510'336},
                        {"resnet", 25'515'136, 16'797'440}};
  ASSERT_EQ(std::size(costs), Presets().size());
  for (const Cost& cost : costs) {
    const auto grey = Architecture::FromPreset(cost.preset, {1, 28, 28}, 10, 0);
    const auto color = Architecture::FromPreset(cost.preset, {3, 31, 18}, 47, 0);
    ASSERT_TRUE(grey.ok() && color.ok());
    EXPECT_EQ(grey->MultiplyAdds(), cost.grey28) << cost.preset;
    EXPECT_EQ(color->MultiplyAdds(), cost.color31x18) << cost.preset;
  }
}

TEST(MultiplyAddsTest, FollowsKernelStrideAndGroups) {
  Architecture network;
  network.input = {2, 9, 7};
  network.classes = 3;
  network.network = NetworkOf(R"(
    layers { convolution { filters: 4 kernel: 5 kernel_width: 3 stride: 2 } }
    layers { convolution { filters: 4 groups: 4 } }
    layers { global_pooling: GLOBAL_POOLING_AVERAGE })");
  ASSERT_TRUE(network.Validate().ok()) << network.Validate();
  // 5 × 4 outputs of 2 · 5 · 3, then 5 × 4 of 1 · 3 · 3, in 4 filters each; then 4 · 3.
  EXPECT_EQ(network.MultiplyAdds(), 4 * 20 * 30 + 4 * 20 * 9 + 12);
}

}  // namespace
}  // namespace atelier::models
