#include "server/worker/spec_options.h"

#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/base/failure.h"
#include "tests/unit/worker/small_job.h"

namespace atelier::worker {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Reflection;
using ::testing::HasSubstr;

// The fields that cannot change the weights. A new field of TrainingSpec stands here or changes the
// fingerprint.
const std::set<std::string>& FieldsWithoutEffect() {
  static const auto* fields = new std::set<std::string>{
      "conv_depth",  // Another name of the preset.
      // The server makes the network of these.
      "conv", "kernel", "pool", "pooling", "activation", "batch_norm", "dense", "residual",
      "cores",              // Decides only how many shards run at once.
      "memory_bytes",       // A limit.
      "nodes",              // Decides only where the shards run.
      "model_name",         // A name.
      "priority",           // The place in the queue.
      "recipe",             // Its values are in the other fields.
      "slurm_args",         // Where it runs.
      "serving_precision",  // Rounds the weights that are served, after training.
  };
  return *fields;
}

// Gives a field another value than it has.
void Change(const FieldDescriptor* field, atelier::v1::TrainingSpec* spec) {
  const Reflection& reflection = *spec->GetReflection();
  if (field->is_repeated()) return reflection.AddInt32(spec, field, 8);
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return spec->mutable_network()->add_layers()->mutable_dense()->set_units(3);
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.SetInt32(spec, field, reflection.GetInt32(*spec, field) + 1);
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.SetInt64(spec, field, reflection.GetInt64(*spec, field) + 1);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.SetDouble(spec, field, reflection.GetDouble(*spec, field) / 2 + 0.03);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.SetBool(spec, field, !reflection.GetBool(*spec, field));
    case FieldDescriptor::CPPTYPE_ENUM:
      // The last value is nobody's default.
      return reflection.SetEnumValue(
          spec, field, field->enum_type()->value(field->enum_type()->value_count() - 1)->number());
    case FieldDescriptor::CPPTYPE_STRING:
      if (field->name() == "class_weights") return spec->set_class_weights("balanced");
      return reflection.SetString(spec, field, field->name() == "preset" ? "cnn-1" : "other");
    default:
      FAIL() << "no value is known for " << field->name();
  }
}

class SpecOptionsTest : public testing::Test {
 protected:
  SpecOptionsTest() {
    auto dataset = models::Dataset::Load(job_.dataset_dir());
    EXPECT_TRUE(dataset.ok()) << dataset.status();
    dataset_ = *std::move(dataset);
  }

  std::string Fingerprint(const atelier::v1::TrainingSpec& spec) {
    const auto options = OptionsOf(spec, *dataset_);
    EXPECT_TRUE(options.ok()) << options.status();
    return options.ok() ? options->Fingerprint(*dataset_) : "";
  }

  SmallJob job_;
  std::shared_ptr<const models::Dataset> dataset_;
};

TEST_F(SpecOptionsTest, EveryFieldThatCanChangeTheWeightsChangesTheFingerprint) {
  const atelier::v1::TrainingSpec base = job_.Assignment().spec();
  const std::string fingerprint = Fingerprint(base);
  const auto* const type = atelier::v1::TrainingSpec::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* const field = type->field(i);
    // The data set's content counts, not its name; see below.
    if (field->name() == "dataset") continue;
    atelier::v1::TrainingSpec changed = base;
    Change(field, &changed);
    EXPECT_EQ(Fingerprint(changed) == fingerprint, FieldsWithoutEffect().contains(field->name()))
        << field->name();
  }
}

TEST_F(SpecOptionsTest, TheContentOfTheDataSetIsPartOfTheFingerprint) {
  EXPECT_THAT(Fingerprint(job_.Assignment().spec()), HasSubstr(dataset_->checksum()));
}

TEST_F(SpecOptionsTest, FieldsWithoutEffectAreFields) {
  for (const std::string& name : FieldsWithoutEffect()) {
    EXPECT_NE(atelier::v1::TrainingSpec::descriptor()->FindFieldByName(name), nullptr) << name;
  }
}

TEST_F(SpecOptionsTest, ClassWeightsAreAWordOrNumbers) {
  atelier::v1::TrainingSpec spec = job_.Assignment().spec();
  EXPECT_TRUE(OptionsOf(spec, *dataset_)->class_weights.empty()) << "of an old job";
  spec.set_class_weights("none");
  EXPECT_TRUE(OptionsOf(spec, *dataset_)->class_weights.empty());
  spec.set_class_weights("balanced");
  EXPECT_TRUE(OptionsOf(spec, *dataset_)->balance_classes);
  spec.set_class_weights("1:0.25:3");
  EXPECT_EQ(OptionsOf(spec, *dataset_)->class_weights, (std::vector<double>{1, 0.25, 3}));
  spec.set_class_weights("1:many");
  EXPECT_EQ(models::ReasonOf(OptionsOf(spec, *dataset_).status()),
            models::FailureReason::kInvalidSpec);
}

TEST_F(SpecOptionsTest, AnOldJobIsTrainedByAdamW) {
  const auto options = OptionsOf(job_.Assignment().spec(), *dataset_);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->optimizer, models::Optimizer::kAdamW);
  EXPECT_EQ(options->adam_beta2, 0.999);
  EXPECT_EQ(options->monitor, models::Monitor::kValidationLoss);
}

TEST_F(SpecOptionsTest, AnUnknownPresetIsTheSpecificationsFault) {
  atelier::v1::TrainingSpec spec = job_.Assignment().spec();
  spec.set_preset("cnn-9");
  const auto options = OptionsOf(spec, *dataset_);
  EXPECT_EQ(models::ReasonOf(options.status()), models::FailureReason::kInvalidSpec);
}

}  // namespace
}  // namespace atelier::worker
