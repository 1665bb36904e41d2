// What the kernels cover: presets, and nothing that they do not know.
#include "models/kernels/coverage.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/compute/compile.h"
#include "models/kernels/inference_program.h"
#include "models/network/presets.h"
#include "models/network/trained_model.h"

namespace atelier::models {
namespace {

using ::testing::HasSubstr;

Architecture Preset(const std::string& name) {
  return *Architecture::FromPreset(name, {4, 28, 28}, 10, 0.3);
}

TEST(CoverageTest, CoversEveryPreset) {
  for (const std::string& preset : PresetNames()) {
    EXPECT_TRUE(KernelsCoverTraining(Preset(preset), Precision::kFloat32, Device::kCpu).ok())
        << preset;
    EXPECT_TRUE(KernelsCoverInference(Preset(preset), Device::kCpu).ok()) << preset;
  }
}

TEST(CoverageTest, CoversFloat32OnTheProcessorOnly) {
  const Architecture network = Preset("cnn-1");
  EXPECT_TRUE(
      absl::IsUnimplemented(KernelsCoverTraining(network, Precision::kBfloat16, Device::kCpu)));
  EXPECT_TRUE(
      absl::IsUnimplemented(KernelsCoverTraining(network, Precision::kFloat32, Device::kCuda)));
  EXPECT_TRUE(absl::IsUnimplemented(KernelsCoverInference(network, Device::kCuda)));
}

struct Unknown {
  std::string name;
  void (*make)(ConvBlock&);
};

class UnknownBlockTest : public testing::TestWithParam<Unknown> {};

// A valid network in whose second block is something that the kernels do not know.
Architecture WithUnknown(const Unknown& unknown) {
  Architecture network = Preset("cnn-2");
  unknown.make(network.conv_blocks[1]);
  EXPECT_TRUE(network.Validate().ok()) << network.Validate();
  return network;
}

TEST_P(UnknownBlockTest, IsNotCovered) {
  const Architecture network = WithUnknown(GetParam());
  const absl::Status training = KernelsCoverTraining(network, Precision::kFloat32, Device::kCpu);
  EXPECT_TRUE(absl::IsUnimplemented(training)) << training;
  EXPECT_THAT(std::string(training.message()), HasSubstr("conv block 2"));
  EXPECT_FALSE(KernelsCoverInference(network, Device::kCpu).ok());
}

TEST_P(UnknownBlockTest, IsComputedByLibTorchAndRefusedByTheKernels) {
  const TrainedModel model = TrainedModel::Initial(WithUnknown(GetParam()), 1);
  EXPECT_EQ(Compile(model)->path(), ComputePath::kLibTorch);
  EXPECT_THROW(InferenceProgram program(model), std::logic_error);
}

INSTANTIATE_TEST_SUITE_P(
    All, UnknownBlockTest,
    testing::Values(Unknown{"KernelHeight", [](ConvBlock& b) { b.kernel_height = 5; }},
                    Unknown{"KernelWidth", [](ConvBlock& b) { b.kernel_width = 1; }},
                    Unknown{"Stride", [](ConvBlock& b) { b.stride = 2; }},
                    Unknown{"Groups", [](ConvBlock& b) { b.groups = 32; }}),
    [](const auto& test) { return test.param.name; });

TEST(CompileTest, TakesTheKernelsWhereTheyCoverAndMay) {
  const TrainedModel model = TrainedModel::Initial(Preset("cnn-1"), 1);
  EXPECT_EQ(Compile(model)->path(), ComputePath::kKernels);
  const auto forced = Compile(model, {Precision::kBfloat16, Device::kCpu, PathChoice::kLibTorch});
  EXPECT_EQ(forced->path(), ComputePath::kLibTorch);
}

TEST(CompileTest, TellsThePrecisionThatItKeeps) {
  const TrainedModel model = TrainedModel::Initial(Preset("cnn-1"), 1);
  EXPECT_EQ(Compile(model, {Precision::kBfloat16})->precision(), Precision::kBfloat16);
  EXPECT_EQ(Compile(model, {Precision::kFloat32})->precision(), Precision::kFloat32);
  const auto forced = Compile(model, {Precision::kBfloat16, Device::kCpu, PathChoice::kLibTorch});
  EXPECT_EQ(forced->precision(), Precision::kFloat32);
  EXPECT_EQ(forced->memory_bytes(), 4 * model.architecture.ParameterCount());
}

}  // namespace
}  // namespace atelier::models
