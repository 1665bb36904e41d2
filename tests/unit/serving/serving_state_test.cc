#include "server/serving/serving_state.h"

#include "gtest/gtest.h"
#include "tests/unit/models/temporary_folder.h"

namespace atelier::serving {
namespace {

TEST(ServingStateTest, ReadsWhatWasWritten) {
  const models::TemporaryFolder folder;
  const ServingState state = {{{"net", ""}, {"net", "production"}, {"other", "3"}},
                              {{"net", 2}, {"bent", 0}}};
  ASSERT_TRUE(WriteServingState(folder.File("serving.json"), ServingStateText(state)).ok());
  EXPECT_EQ(ReadServingState(folder.File("serving.json")), state);
}

TEST(ServingStateTest, IsEmptyWithoutAFileAndForADamagedOne) {
  const models::TemporaryFolder folder;
  EXPECT_EQ(ReadServingState(folder.File("none")), ServingState());
  for (const char* text : {"", "{", "[]", R"({"loaded": 1, "unloaded": []})",
                           R"({"loaded": [{"model": 7, "reference": ""}], "unloaded": []})"}) {
    folder.Write("serving.json", text);
    EXPECT_EQ(ReadServingState(folder.File("serving.json")), ServingState()) << text;
  }
}

}  // namespace
}  // namespace atelier::serving
