#include "server/jobs/spec_resolver.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/unit/jobs/fakes.h"

namespace atelier::jobs {
namespace {

class SpecResolverTest : public testing::Test {
 protected:
  SpecResolverTest() { request_.mutable_spec()->set_preset("cnn-3"); }

  absl::StatusOr<ResolvedRequest> Resolve() {
    return SpecResolver(options_, &datasets_).Resolve(request_);
  }
  // The wrong fields, joined.
  std::string Wrong() {
    std::string fields;
    for (const auto& violation : ViolationsOf(Resolve().status())) {
      EXPECT_EQ(violation.description.back(), '.') << violation.description;
      absl::StrAppend(&fields, fields.empty() ? "" : " ", violation.field);
    }
    return fields;
  }
  v1::TrainingSpec& spec() { return *request_.mutable_spec(); }

  FakeDatasets datasets_;
  SpecResolver::Options options_{
      .presets = {{"dense", 0}, {"cnn-1", 1}, {"cnn-2", 2}, {"cnn-3", 3}, {"cnn-3-pooled"}},
      .max_cores = 8,
      .default_cores = 4,
      .memory_bytes = std::int64_t{16} << 30,
      .draw_seed = [] { return std::int64_t{99}; },
  };
  v1::StartTrainingRequest request_;
};

TEST_F(SpecResolverTest, AJobGetsNoMoreCoresThanATrainingCanUse) {
  options_.max_cores = 128;
  options_.default_cores = 128;
  EXPECT_EQ(Resolve()->spec.cores(), 64);
  spec().set_cores(65);
  EXPECT_EQ(Wrong(), "spec.cores");
}

TEST_F(SpecResolverTest, ArgumentsForTheEngineAreCheckedByIt) {
  spec().set_slurm_args(" --time=5\t--qos=high ");
  EXPECT_EQ(Wrong(), "spec.slurm_args") << "no engine takes any";
  std::vector<std::string> seen;
  options_.check_arguments = [&](const std::vector<std::string>& arguments) {
    seen = arguments;
    return absl::OkStatus();
  };
  EXPECT_EQ(Wrong(), "");
  EXPECT_EQ(seen, (std::vector<std::string>{"--time=5", "--qos=high"}));
  options_.check_arguments = [](const std::vector<std::string>&) {
    return absl::InvalidArgumentError("--qos is not allowed");
  };
  EXPECT_EQ(Wrong(), "spec.slurm_args");
  spec().set_slurm_args("  ");
  EXPECT_EQ(Wrong(), "") << "nothing is asked of it";
}

TEST_F(SpecResolverTest, FillsEveryDefault) {
  const auto resolved = Resolve();
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  const v1::TrainingSpec& spec = resolved->spec;
  EXPECT_EQ(spec.preset(), "cnn-3");
  EXPECT_EQ(spec.conv_depth(), 3);
  EXPECT_EQ(spec.dataset(), "fashion-mnist");
  EXPECT_EQ(spec.epochs(), 20);
  EXPECT_EQ(spec.batch_size(), 128);
  EXPECT_EQ(spec.learning_rate(), 0.001);
  EXPECT_EQ(spec.dropout(), 0.3);
  EXPECT_EQ(spec.patience(), 5);
  EXPECT_EQ(spec.seed(), 99);
  EXPECT_EQ(spec.recipe(), v1::RECIPE_STUDY);
  EXPECT_EQ(spec.schedule(), v1::SCHEDULE_CONSTANT);
  EXPECT_EQ(spec.warmup_fraction(), 0.25);
  EXPECT_EQ(spec.precision(), v1::PRECISION_FLOAT32);
  EXPECT_EQ(spec.shards(), 4);
  EXPECT_EQ(spec.cores(), 4);
  EXPECT_EQ(spec.memory_bytes(), std::int64_t{2} << 30);
  EXPECT_EQ(spec.priority(), 0);
  EXPECT_EQ(spec.model_name(), "cnn-3");
  EXPECT_EQ(spec.validation_fraction(), 0.1);
  EXPECT_EQ(resolved->base_name, "cnn-3");
  EXPECT_EQ(resolved->request_id, "");
}

TEST_F(SpecResolverTest, FastIsOneShortCycleUnlessTheUserSaysOtherwise) {
  spec().set_recipe(v1::RECIPE_FAST);
  const auto resolved = Resolve();
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(resolved->spec.epochs(), 3);
  EXPECT_EQ(resolved->spec.learning_rate(), 0.003);
  EXPECT_EQ(resolved->spec.schedule(), v1::SCHEDULE_ONE_CYCLE);
  spec().set_epochs(7);
  spec().set_schedule(v1::SCHEDULE_CONSTANT);
  EXPECT_EQ(Resolve()->spec.epochs(), 7);
  EXPECT_EQ(Resolve()->spec.schedule(), v1::SCHEDULE_CONSTANT);
}

TEST_F(SpecResolverTest, BestRegularizesUnlessTheUserSaysOtherwise) {
  EXPECT_FALSE(Resolve()->spec.horizontal_flip());
  EXPECT_EQ(Resolve()->spec.average_decay(), 0);
  EXPECT_TRUE(Resolve()->spec.has_average_decay());
  EXPECT_EQ(Resolve()->spec.validation_fraction(), 0.1);
  spec().set_recipe(v1::RECIPE_BEST);
  const auto resolved = Resolve();
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(resolved->spec.patience(), resolved->spec.epochs());
  EXPECT_EQ(resolved->spec.schedule(), v1::SCHEDULE_ONE_CYCLE);
  EXPECT_TRUE(resolved->spec.horizontal_flip());
  EXPECT_GT(resolved->spec.shift(), 0);
  EXPECT_GT(resolved->spec.erasing(), 0);
  EXPECT_GT(resolved->spec.label_smoothing(), 0);
  EXPECT_GT(resolved->spec.weight_decay(), 0);
  EXPECT_GT(resolved->spec.average_decay(), 0);
  EXPECT_EQ(resolved->spec.validation_fraction(), 0.05);
  spec().set_horizontal_flip(false);
  spec().set_erasing(0);
  EXPECT_FALSE(Resolve()->spec.horizontal_flip());
  EXPECT_EQ(Resolve()->spec.erasing(), 0);
}

TEST_F(SpecResolverTest, RefusesRegularizationOutOfRange) {
  for (const double bad : {-0.1, 1.5, std::nan("")}) {
    spec().set_shift(17);
    spec().set_erasing(bad);
    spec().set_random_resized_crop(bad);
    spec().set_rotation(bad > 0 ? 181 : bad);
    spec().set_color_jitter(bad);
    spec().set_label_smoothing(bad);
    spec().set_weight_decay(bad);
    spec().set_average_decay(bad);
    EXPECT_EQ(Wrong(),
              "spec.shift spec.random_resized_crop spec.rotation spec.color_jitter "
              "spec.label_smoothing spec.average_decay spec.erasing spec.weight_decay")
        << bad;
  }
}

TEST_F(SpecResolverTest, TheMomentumOfBatchNormIsAnOption) {
  EXPECT_EQ(Resolve()->spec.batch_norm_momentum(), 0.01);
  spec().set_batch_norm_momentum(1);
  EXPECT_EQ(Resolve()->spec.batch_norm_momentum(), 1);
  for (const double bad : {0.0, -0.1, 1.1, std::nan("")}) {
    spec().set_batch_norm_momentum(bad);
    EXPECT_EQ(Wrong(), "spec.batch_norm_momentum") << bad;
  }
}

TEST_F(SpecResolverTest, RefusesASchedulesMistakes) {
  spec().set_schedule(static_cast<v1::Schedule>(50));
  for (const double bad : {0.0, 1.0, -0.5, std::nan("")}) {
    spec().set_warmup_fraction(bad);
    EXPECT_EQ(Wrong(), "spec.schedule spec.warmup_fraction") << bad;
  }
}

TEST_F(SpecResolverTest, AnOptimizerGetsItsOwnDefaultsAlone) {
  const auto resolved = [this](v1::Optimizer optimizer) {
    spec().set_optimizer(optimizer);
    const auto request = Resolve();
    EXPECT_TRUE(request.ok()) << request.status();
    return request.ok() ? request->spec : v1::TrainingSpec();
  };
  EXPECT_EQ(Resolve()->spec.optimizer(), v1::OPTIMIZER_ADAMW);
  for (const v1::Optimizer adam : {v1::OPTIMIZER_ADAMW, v1::OPTIMIZER_ADAM}) {
    const v1::TrainingSpec spec = resolved(adam);
    EXPECT_FALSE(spec.has_momentum() || spec.has_nesterov());
    EXPECT_EQ(spec.beta1(), 0.9);
    EXPECT_EQ(spec.beta2(), 0.999);
    EXPECT_EQ(spec.epsilon(), 1e-7);
  }
  const v1::TrainingSpec sgd = resolved(v1::OPTIMIZER_SGD);
  EXPECT_EQ(sgd.momentum(), 0.9);
  EXPECT_TRUE(sgd.has_nesterov() && !sgd.nesterov());
  EXPECT_FALSE(sgd.has_beta1() || sgd.has_beta2() || sgd.has_epsilon());
  const v1::TrainingSpec rmsprop = resolved(v1::OPTIMIZER_RMSPROP);
  EXPECT_TRUE(rmsprop.has_momentum() && rmsprop.momentum() == 0);
  EXPECT_EQ(rmsprop.beta2(), 0.99);
  EXPECT_FALSE(rmsprop.has_beta1() || rmsprop.has_nesterov());
  const v1::TrainingSpec muon = resolved(v1::OPTIMIZER_MUON);
  EXPECT_EQ(muon.momentum(), 0.95);
  EXPECT_TRUE(muon.nesterov());
  EXPECT_EQ(muon.beta2(), 0.999);
}

TEST_F(SpecResolverTest, RefusesWhatAnOptimizerHasNoUseFor) {
  spec().set_momentum(0.9);
  spec().set_nesterov(true);
  EXPECT_EQ(Wrong(), "spec.momentum spec.nesterov");
  EXPECT_NE(Resolve().status().message().find(
                "A momentum is given, which the optimizer adamw has no use for; leave it out, or "
                "choose sgd, rmsprop or muon."),
            std::string::npos);
  spec().set_optimizer(v1::OPTIMIZER_SGD);
  EXPECT_TRUE(Resolve().ok());
  spec().set_momentum(0);
  EXPECT_EQ(Wrong(), "spec.nesterov");
  spec().clear_nesterov();
  spec().set_beta1(0.8);
  spec().set_beta2(0.8);
  spec().set_epsilon(0.1);
  EXPECT_EQ(Wrong(), "spec.beta1 spec.beta2 spec.epsilon");
  spec().set_optimizer(static_cast<v1::Optimizer>(50));
  EXPECT_EQ(Wrong(), "spec.optimizer");
}

TEST_F(SpecResolverTest, RefusesTrainingChoicesOutOfRange) {
  spec().set_optimizer(v1::OPTIMIZER_MUON);
  for (const double bad : {-0.1, 2e6, std::nan("")}) {
    spec().set_momentum(bad);
    spec().set_beta1(bad);
    spec().set_beta2(bad);
    spec().set_epsilon(bad);
    spec().set_min_delta(bad);
    spec().set_max_gradient_norm(bad);
    EXPECT_EQ(Wrong(),
              "spec.momentum spec.beta1 spec.beta2 spec.epsilon spec.min_delta "
              "spec.max_gradient_norm")
        << bad;
  }
}

TEST_F(SpecResolverTest, AScheduleOfStepsGetsAFactorAndAThirdOfTheEpochs) {
  EXPECT_FALSE(Resolve()->spec.has_step_factor() || Resolve()->spec.has_step_epochs());
  spec().set_schedule(v1::SCHEDULE_STEP);
  EXPECT_EQ(Resolve()->spec.step_factor(), 0.1);
  EXPECT_EQ(Resolve()->spec.step_epochs(), 7);
  spec().set_epochs(1);
  EXPECT_EQ(Resolve()->spec.step_epochs(), 1);
  spec().set_step_epochs(2);
  spec().set_step_factor(1);
  EXPECT_EQ(Wrong(), "spec.step_factor spec.step_epochs");
  spec().set_schedule(v1::SCHEDULE_COSINE);
  EXPECT_EQ(Wrong(), "spec.step_factor spec.step_epochs") << "cosine has no use for them";
}

TEST_F(SpecResolverTest, ACosineMayDoWithoutWarmUp) {
  spec().set_warmup_fraction(0);
  EXPECT_EQ(Wrong(), "spec.warmup_fraction");
  spec().set_schedule(v1::SCHEDULE_COSINE);
  EXPECT_TRUE(Resolve().ok());
}

TEST_F(SpecResolverTest, WhatIsMonitoredIsAWord) {
  EXPECT_EQ(Resolve()->spec.monitor(), v1::MONITOR_VALIDATION_LOSS);
  spec().set_monitor(static_cast<v1::Monitor>(50));
  EXPECT_EQ(Wrong(), "spec.monitor");
  EXPECT_NE(
      Resolve().status().message().find("choose validation_loss, validation_accuracy or macro_f1."),
      std::string::npos);
}

TEST_F(SpecResolverTest, ClassWeightsAreAWordOrOneForEachClass) {
  DatasetFacts facts;
  facts.class_count = 3;
  facts.class_names = {"cat", "dog", "emu"};
  facts.training_images = 1000;
  datasets_.Add("animals", facts);
  spec().set_dataset("animals");
  EXPECT_EQ(Resolve()->spec.class_weights(), "none");
  for (const char* right : {"none", "balanced", "1:0:2.5"}) {
    spec().set_class_weights(right);
    EXPECT_EQ(Resolve()->spec.class_weights(), right);
  }
  spec().set_class_weights("1, 0,2.5");
  EXPECT_EQ(Resolve()->spec.class_weights(), "1:0:2.5");
  const auto problem = [this](const char* weights) {
    spec().set_class_weights(weights);
    EXPECT_EQ(Wrong(), "spec.class_weights") << weights;
    return std::string(Resolve().status().message());
  };
  EXPECT_NE(problem("1:2").find("The number of class weights is 2; it must be none, balanced, or 3 "
                                "weights, one for each class of animals: "),
            std::string::npos);
  EXPECT_NE(problem("1:2").find("emu"), std::string::npos);
  for (const char* bad : {"1:nan:2", "1:-1:2", "1:inf:2", "1:x:2", "1::2", "1:1e7:2"}) {
    EXPECT_NE(problem(bad).find("dog"), std::string::npos) << problem(bad);
  }
  EXPECT_NE(problem("0:0:0").find("are 0"), std::string::npos);
  EXPECT_NE(problem("balance").find("none, balanced"), std::string::npos);
}

TEST_F(SpecResolverTest, ResolvedSpecificationResolvesToItself) {
  spec().set_optimizer(v1::OPTIMIZER_RMSPROP);
  spec().set_schedule(v1::SCHEDULE_STEP);
  const auto once = Resolve();
  *request_.mutable_spec() = once->spec;
  EXPECT_EQ(Resolve()->spec.SerializeAsString(), once->spec.SerializeAsString());
}

TEST_F(SpecResolverTest, WhatTheUserSetsStays) {
  spec().set_seed(0);
  spec().set_dropout(0);
  spec().set_shards(2);
  spec().set_model_name("mine");
  request_.set_base_name("try-1");
  const auto resolved = Resolve();
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(resolved->spec.seed(), 0);
  EXPECT_EQ(resolved->spec.dropout(), 0);
  EXPECT_EQ(resolved->spec.shards(), 2);
  EXPECT_EQ(resolved->spec.model_name(), "mine");
  EXPECT_EQ(resolved->base_name, "try-1");
}

TEST_F(SpecResolverTest, ConvDepthNamesAPreset) {
  spec().clear_preset();
  spec().set_conv_depth(0);
  EXPECT_EQ(Resolve()->spec.preset(), "dense");
  spec().set_conv_depth(2);
  EXPECT_EQ(Resolve()->spec.preset(), "cnn-2");
  EXPECT_EQ(Resolve()->base_name, "cnn-2");
  spec().set_conv_depth(4);
  EXPECT_EQ(Wrong(), "spec.conv_depth");
}

TEST_F(SpecResolverTest, PresetAndConvDepthMustAgree) {
  spec().set_conv_depth(3);
  EXPECT_TRUE(Resolve().ok());
  spec().set_conv_depth(1);
  EXPECT_EQ(Wrong(), "spec.conv_depth");
  spec().set_preset("cnn-3-pooled");
  spec().set_conv_depth(3);
  EXPECT_EQ(Wrong(), "spec.conv_depth");
}

TEST_F(SpecResolverTest, UnknownPresetIsToldWhichThereAre) {
  spec().set_preset("resnet\n");
  const auto status = Resolve().status();
  EXPECT_EQ(Wrong(), "spec.preset");
  EXPECT_NE(status.message().find("cnn-3-pooled"), absl::string_view::npos);
  EXPECT_EQ(status.message().find('\n'), absl::string_view::npos);
  spec().clear_preset();
  EXPECT_EQ(Wrong(), "spec.preset");
}

TEST_F(SpecResolverTest, NamesEveryWrongFieldAtOnce) {
  spec().set_epochs(0);
  spec().set_batch_size(65'537);
  spec().set_learning_rate(-1);
  spec().set_dropout(1);
  spec().set_patience(10'001);
  spec().set_validation_fraction(0.6);
  spec().set_shards(65);
  spec().set_cores(9);
  spec().set_memory_bytes(1);
  spec().set_priority(101);
  spec().set_dataset("letters");
  spec().set_model_name("a/b");
  request_.set_base_name(std::string(41, 'a'));
  request_.set_request_id("no spaces");
  EXPECT_EQ(Wrong(),
            "base_name spec.model_name request_id spec.epochs spec.batch_size spec.patience "
            "spec.learning_rate spec.dropout spec.validation_fraction spec.cores "
            "spec.memory_bytes spec.priority spec.shards spec.dataset");
}

TEST_F(SpecResolverTest, RefusesWhatIsNotANumber) {
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity()}) {
    spec().set_learning_rate(bad);
    spec().set_dropout(bad);
    spec().set_validation_fraction(bad);
    EXPECT_EQ(Wrong(), "spec.learning_rate spec.dropout spec.validation_fraction");
  }
}

TEST_F(SpecResolverTest, RefusesNamesThatCouldNotBeNames) {
  for (const std::string& bad :
       {std::string("-a"), std::string("a-"), std::string("A"), std::string("a.b"),
        std::string("a\x01"), std::string("ä"), std::string("../x"), std::string(64, 'a')}) {
    spec().set_model_name(bad);
    EXPECT_EQ(Wrong(), "spec.model_name") << bad;
  }
}

TEST_F(SpecResolverTest, UnknownEnumNumbersAreWrong) {
  spec().set_recipe(static_cast<v1::Recipe>(50));
  spec().set_precision(static_cast<v1::Precision>(50));
  spec().set_serving_precision(static_cast<v1::Precision>(50));
  EXPECT_EQ(Wrong(), "spec.recipe spec.precision spec.serving_precision");
}

TEST_F(SpecResolverTest, Bfloat16NeedsTheProcessor) {
  spec().set_precision(v1::PRECISION_BFLOAT16);
  EXPECT_EQ(Wrong(), "spec.precision");
  options_.bfloat16 = true;
  EXPECT_TRUE(Resolve().ok());
}

TEST_F(SpecResolverTest, AutomaticPrecisionIsTheFastestForWhatIsTrained) {
  EXPECT_EQ(Resolve()->spec.precision(), v1::PRECISION_FLOAT32) << "as nobody knows better";
  options_.fastest_precision = [](const v1::TrainingSpec& spec, const DatasetFacts& facts) {
    EXPECT_EQ(facts.reference, spec.dataset());
    return spec.freeze() > 0 ? v1::PRECISION_FLOAT32 : v1::PRECISION_BFLOAT16;
  };
  EXPECT_EQ(Resolve()->spec.precision(), v1::PRECISION_BFLOAT16);
  spec().set_freeze(1);
  EXPECT_EQ(Resolve()->spec.precision(), v1::PRECISION_FLOAT32);
  spec().clear_freeze();
  spec().set_precision(v1::PRECISION_FLOAT32);
  EXPECT_EQ(Resolve()->spec.precision(), v1::PRECISION_FLOAT32);
}

TEST_F(SpecResolverTest, WeightsAreServedInFloat32UnlessAskedFor) {
  EXPECT_EQ(Resolve()->spec.serving_precision(), v1::PRECISION_FLOAT32);
  for (const v1::Precision asked : {v1::PRECISION_AUTO, v1::PRECISION_BFLOAT16}) {
    spec().set_serving_precision(asked);
    EXPECT_EQ(Resolve()->spec.serving_precision(), v1::PRECISION_BFLOAT16);
  }
}

TEST_F(SpecResolverTest, CudaNeedsAGpu) {
  EXPECT_EQ(Resolve()->spec.device(), v1::DEVICE_CPU);
  spec().set_device(v1::DEVICE_CUDA);
  EXPECT_EQ(Wrong(), "spec.device");
  spec().set_device(static_cast<v1::Device>(50));
  EXPECT_EQ(Wrong(), "spec.device");
}

TEST_F(SpecResolverTest, AutomaticDeviceIsTheGpuWithTheWholeBatch) {
  options_.cuda = true;
  EXPECT_EQ(Resolve()->spec.device(), v1::DEVICE_CUDA);
  EXPECT_EQ(Resolve()->spec.shards(), 1);
  spec().set_device(v1::DEVICE_CPU);
  EXPECT_EQ(Resolve()->spec.device(), v1::DEVICE_CPU);
  EXPECT_EQ(Resolve()->spec.shards(), 4);
}

TEST_F(SpecResolverTest, ShardsDivideTheBatch) {
  spec().set_batch_size(90);
  EXPECT_EQ(Resolve()->spec.shards(), 3);  // The most that four cores can use.
  spec().set_shards(4);
  EXPECT_EQ(Wrong(), "spec.shards");
  spec().set_shards(180);  // More than the batch has images.
  EXPECT_EQ(Wrong(), "spec.shards");
  spec().set_shards(5);
  EXPECT_TRUE(Resolve().ok());
}

TEST_F(SpecResolverTest, NodesHaveAShardEachAndTogetherWhatTheServerHas) {
  EXPECT_EQ(Resolve()->spec.nodes(), 1);
  spec().set_nodes(2);
  EXPECT_EQ(Resolve()->spec.shards(), 8) << "one for each core of all nodes";
  spec().set_nodes(3);
  EXPECT_EQ(Wrong(), "spec.nodes") << "three times four cores, of eight";
  spec().set_cores(2);
  EXPECT_EQ(Wrong(), "");
  spec().set_shards(2);
  EXPECT_EQ(Wrong(), "spec.nodes") << "one of them would have nothing to do";
  spec().clear_shards();
  options_.max_cores = 100;
  spec().set_cores(32);
  EXPECT_EQ(Wrong(), "") << "of a server with more cores than one process may have";
  spec().set_cores(2);
  spec().set_memory_bytes(std::int64_t{6} << 30);
  EXPECT_EQ(Wrong(), "spec.nodes") << "three times 6 GiB, of 16";
  options_.nodes_are_here = false;
  EXPECT_EQ(Wrong(), "");
  options_.nodes_refused = "There is no network.";
  EXPECT_EQ(Wrong(), "spec.nodes");
  spec().set_nodes(1);
  EXPECT_EQ(Wrong(), "");
  for (const int nodes : {0, -1, 17, std::numeric_limits<int>::max()}) {
    spec().set_nodes(nodes);
    EXPECT_EQ(Wrong(), "spec.nodes") << nodes;
  }
}

TEST_F(SpecResolverTest, NodesTrainOnTheirProcessors) {
  options_.cuda = true;
  spec().set_nodes(2);
  EXPECT_EQ(Resolve()->spec.device(), v1::DEVICE_CPU);
  spec().set_device(v1::DEVICE_CUDA);
  spec().set_shards(2);
  EXPECT_EQ(Wrong(), "spec.nodes");
}

TEST_F(SpecResolverTest, BatchFitsTheTrainingImagesWithoutValidation) {
  DatasetFacts small;
  small.training_images = 100;
  datasets_.Add("small", small);
  spec().set_dataset("small");
  spec().set_batch_size(90);
  EXPECT_TRUE(Resolve().ok());
  spec().set_batch_size(91);
  EXPECT_EQ(Wrong(), "spec.batch_size");
}

TEST_F(SpecResolverTest, ADataSetThatCannotBeLookedUpIsNotCalledMissing) {
  datasets_.SetError(absl::UnavailableError("The database is busy."));
  EXPECT_EQ(Resolve().status(), absl::UnavailableError("The database is busy."));
}

TEST_F(SpecResolverTest, AnAcceptedJobNamesTheVersionOfItsDataSet) {
  DatasetFacts digits;
  digits.reference = "digits@3";
  digits.training_images = 1000;
  datasets_.Add("digits", digits);
  spec().set_dataset("digits");
  EXPECT_EQ(Resolve()->spec.dataset(), "digits@3");
}

TEST_F(SpecResolverTest, AValidationSplitOfTheDataSetTakesTheFractionsPlace) {
  DatasetFacts small;
  small.training_images = 100;
  small.validation_images = 20;
  datasets_.Add("small", small);
  spec().set_dataset("small");
  spec().set_batch_size(100);
  ASSERT_TRUE(Resolve().ok()) << Resolve().status();
  EXPECT_FALSE(Resolve()->spec.has_validation_fraction());
  spec().set_validation_fraction(0.2);
  EXPECT_EQ(Wrong(), "spec.validation_fraction");
}

TEST_F(SpecResolverTest, DataSetWithAProblemIsRefused) {
  DatasetFacts broken;
  broken.problem = "train-images is truncated";
  datasets_.Add("broken", broken);
  spec().set_dataset("broken");
  EXPECT_EQ(Wrong(), "spec.dataset");
  EXPECT_NE(Resolve().status().message().find("train-images is truncated."), std::string::npos);
}

TEST_F(SpecResolverTest, NetworkThatDoesNotFitTheImagesIsRefused) {
  DatasetFacts tiny;
  tiny.training_images = 1000;
  tiny.image_shape.set_channels(1);
  tiny.image_shape.set_height(2);
  tiny.image_shape.set_width(3);
  datasets_.Add("tiny", tiny);
  options_.build_network = [](v1::TrainingSpec* spec) {
    spec->mutable_network();
    return std::vector<FieldViolation>();
  };
  options_.network_problem = [](const v1::TrainingSpec& spec, const DatasetFacts& facts) {
    return spec.preset() != "dense" && facts.image_shape.height() < 4 ? "no pixels are left" : "";
  };
  spec().set_dataset("tiny");
  EXPECT_EQ(Wrong(), "spec.preset");
  EXPECT_NE(Resolve().status().message().find("images are 1x2x3"), std::string::npos);
  spec().set_preset("dense");
  EXPECT_TRUE(Resolve().ok());
}

TEST_F(SpecResolverTest, DefaultMemoryIsNotMoreThanTheMachineHas) {
  options_.memory_bytes = std::int64_t{1} << 30;
  EXPECT_EQ(Resolve()->spec.memory_bytes(), std::int64_t{1} << 30);
  spec().set_memory_bytes((std::int64_t{1} << 30) + 1);
  EXPECT_EQ(Wrong(), "spec.memory_bytes");
}

TEST(RandomSeedTest, DrawsWithinItsRangeAndNotAlwaysTheSame) {
  const std::int64_t first = SpecResolver::RandomSeed();
  bool differs = false;
  for (int i = 0; i < 10; ++i) {
    const std::int64_t seed = SpecResolver::RandomSeed();
    EXPECT_GE(seed, 0);
    EXPECT_LT(seed, std::int64_t{1} << 31);
    differs = differs || seed != first;
  }
  EXPECT_TRUE(differs);
}

}  // namespace
}  // namespace atelier::jobs
