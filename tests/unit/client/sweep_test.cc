// Sweeps: lists of options become configurations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "client/calls/spec_fields.h"
#include "client/calls/spec_help.h"
#include "client/comparing/sweep_grid.h"

namespace atelier::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Configurations in short: what each says of these options.
std::vector<std::string> Configurations(const v1::StartExperimentRequest& request) {
  std::vector<std::string> all;
  for (const v1::TrainingSpec& spec : request.configurations()) all.push_back(TrainOptions(spec));
  return all;
}

std::string ErrorOf(const SweepOptions& options) {
  const auto request = MakeSweep(options);
  EXPECT_TRUE(absl::IsInvalidArgument(request.status())) << request.status();
  return std::string(request.status().message());
}

TEST(SweepGridTest, MakesEveryCombination) {
  const auto request = MakeSweep(
      {.values = {{"--preset", "dense,cnn-1"}, {"--dropout", "0.2,0.5"}, {"--epochs", "3"}},
       .seed = "",
       .seeds = 2,
       .random = std::nullopt,
       .name = "depth"});
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_THAT(Configurations(*request), ElementsAre(" --preset=dense --epochs=3 --dropout=0.2",
                                                    " --preset=dense --epochs=3 --dropout=0.5",
                                                    " --preset=cnn-1 --epochs=3 --dropout=0.2",
                                                    " --preset=cnn-1 --epochs=3 --dropout=0.5"));
  EXPECT_THAT(request->seeds(), ElementsAre(1, 2));
  EXPECT_EQ(request->base_name(), "depth");
}

TEST(SweepGridTest, ReadsValuesOfEveryKind) {
  const auto request = MakeSweep({.values = {{"--recipe", "fast"},
                                             {"--memory", "1GiB"},
                                             {"--shards", "auto"},
                                             {"--dataset", "shoes"}},
                                  .seed = "",
                                  .seeds = std::nullopt,
                                  .random = std::nullopt,
                                  .name = ""});
  ASSERT_TRUE(request.ok()) << request.status();
  const v1::TrainingSpec& spec = request->configurations(0);
  EXPECT_EQ(spec.recipe(), v1::RECIPE_FAST);
  EXPECT_EQ(spec.memory_bytes(), 1 << 30);
  EXPECT_FALSE(spec.has_shards());
  EXPECT_EQ(spec.dataset(), "shoes");
  EXPECT_THAT(request->seeds(), IsEmpty());
}

TEST(SweepGridTest, SeedsAreNamedOrCounted) {
  SweepOptions options;
  options.seed = "5,9";
  EXPECT_THAT(MakeSweep(options)->seeds(), ElementsAre(5, 9));
  options.seed = "5";
  options.seeds = 3;
  EXPECT_THAT(MakeSweep(options)->seeds(), ElementsAre(5, 6, 7));
  options.seed = "5,9";
  EXPECT_THAT(ErrorOf(options), HasSubstr("--seeds"));
  options.seed = "five";
  EXPECT_THAT(ErrorOf(options), HasSubstr("--seed: 'five'"));
}

TEST(SweepGridTest, DrawsConfigurationsBySeedNoneTwice) {
  SweepOptions options;
  options.values = {{"--epochs", "1,2,3,4,5,6,7,8,9,10"}, {"--patience", "1,2,3,4,5,6,7,8,9,10"}};
  options.random = 20;
  const auto first = MakeSweep(options);
  ASSERT_TRUE(first.ok());
  const auto drawn = Configurations(*first);
  EXPECT_EQ(std::set<std::string>(drawn.begin(), drawn.end()).size(), 20);
  EXPECT_EQ(Configurations(*MakeSweep(options)), drawn);
  options.seed = "8";
  EXPECT_NE(Configurations(*MakeSweep(options)), drawn);
  options.random = 1000;
  EXPECT_EQ(MakeSweep(options)->configurations_size(), 100) << "no more than there are";
}

TEST(SweepGridTest, NamesTheOptionThatIsWrong) {
  SweepOptions options;
  options.values = {{"--epochs", "3,many"}};
  EXPECT_THAT(ErrorOf(options), HasSubstr("--epochs: 'many' is not a whole number."));
  options.values = {{"--epochs", "3,,4"}};
  EXPECT_THAT(ErrorOf(options), HasSubstr("--epochs: '3,,4' contains an empty value"));
  options.values = {{"--preset", "dense,dense"}};
  EXPECT_THAT(ErrorOf(options), HasSubstr("--preset: 'dense' is given twice"));
  options.values = {{"--recipe", "study,luck"}};
  EXPECT_THAT(ErrorOf(options), HasSubstr("--recipe: 'luck' is not one of"));
  options.values = {{"--memory", "much"}};
  EXPECT_THAT(ErrorOf(options), HasSubstr("--memory: 'much' is not a size"));
  options.values = {{"--dropout", ""}};
  EXPECT_THAT(ErrorOf(options), HasSubstr("--dropout"));
}

TEST(SweepGridTest, AnEnormousGridIsRefusedUnlessDrawnFrom) {
  SweepOptions options;
  std::string many = "1";
  for (int i = 2; i <= 40; ++i) many += "," + std::to_string(i);
  options.values = {{"--epochs", many}, {"--patience", many}};
  EXPECT_THAT(ErrorOf(options), HasSubstr("1,600 configurations; an experiment has at most 1,000"));
  options.random = 10;
  options.seeds = 2;
  EXPECT_EQ(MakeSweep(options)->configurations_size(), 10);
  options.seeds = 101;
  EXPECT_THAT(ErrorOf(options), HasSubstr("101 seeds"));
  options.seeds = 2000;
  EXPECT_THAT(ErrorOf(options), HasSubstr("--seeds"));
  for (const SpecField field : SpecFields()) {
    if (field->cpp_type() == field->CPPTYPE_DOUBLE || field->cpp_type() == field->CPPTYPE_INT32) {
      options.values[OptionOf(field)] = many;
    }
  }
  options.seeds = 1;
  EXPECT_THAT(ErrorOf(options), HasSubstr("too many configurations to count"));
}

TEST(SpecFieldsTest, SaysWhichKindOfValueIsNeeded) {
  v1::TrainingSpec spec;
  const std::map<std::string, std::string> kinds = {
      {"epochs", "a whole number"}, {"shards", "a whole number or auto"},
      {"dropout", "a number"},      {"memory_bytes", "a size like 2GiB"},
      {"seed", "a whole number"},   {"horizontal_flip", "on, off, true or false"}};
  for (const auto& [name, kind] : kinds) {
    const SpecField field = v1::TrainingSpec::descriptor()->FindFieldByName(name);
    const absl::Status status = SetValue("8s", field, &spec);
    EXPECT_EQ(status.message(), absl::StrCat(OptionOf(field), ": '8s' is not ", kind, "."));
  }
  EXPECT_EQ(spec.ByteSizeLong(), 0);
}

TEST(SpecHelpTest, DescribesEveryFieldOnce) {
  std::set<SpecField> fields;
  for (const SpecField field : FieldsInHelpOrder()) {
    fields.insert(field);
    EXPECT_NE(HelpOf(field).text, "") << field->name();
    EXPECT_NE(HelpOf(field).type, "VALUE") << field->name();
  }
  EXPECT_EQ(static_cast<int>(fields.size()), v1::TrainingSpec::descriptor()->field_count());
  EXPECT_EQ(FieldsInHelpOrder()[0]->name(), "preset");
}

TEST(SpecFieldsTest, WritesTheCommandThatMakesTheJob) {
  v1::TrainingSpec spec;
  spec.set_preset("cnn-2");
  spec.set_conv_depth(2);
  spec.set_learning_rate(0.001);
  spec.set_memory_bytes(std::int64_t{2} << 30);
  spec.set_schedule(v1::SCHEDULE_ONE_CYCLE);
  spec.set_seed(4);
  const std::string options = TrainOptions(spec);
  for (const char* option : {" --preset=cnn-2", " --learning-rate=0.001", " --memory=2GiB",
                             " --schedule=one_cycle", " --seed=4"}) {
    EXPECT_THAT(options, HasSubstr(option));
  }
  EXPECT_THAT(options, testing::Not(HasSubstr("conv-depth")));
}

}  // namespace
}  // namespace atelier::client
