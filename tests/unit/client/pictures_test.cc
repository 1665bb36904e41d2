// `atelier filters`, `features` and `explain` against a fake server, and pictures in the terminal.
#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/command_line.h"
#include "client/files/picture_files.h"
#include "client/terminal/inline_picture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/client/fake_server.h"

namespace atelier::client {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

PictureProtocol ProtocolOf(const std::map<std::string, std::string>& variables) {
  return PictureProtocolOf([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::string() : found->second;
  });
}

TEST(InlinePictureTest, GoesByWhatTheTerminalSaysOfItself) {
  EXPECT_EQ(ProtocolOf({}), PictureProtocol::kNone);
  EXPECT_EQ(ProtocolOf({{"TERM", "xterm-256color"}}), PictureProtocol::kNone);
  EXPECT_EQ(ProtocolOf({{"TERM", "xterm-kitty"}}), PictureProtocol::kKitty);
  EXPECT_EQ(ProtocolOf({{"TERM", "xterm"}, {"KITTY_WINDOW_ID", "1"}}), PictureProtocol::kKitty);
  EXPECT_EQ(ProtocolOf({{"TERM_PROGRAM", "iTerm.app"}}), PictureProtocol::kIterm2);
  EXPECT_EQ(ProtocolOf({{"TERM_PROGRAM", "WezTerm"}}), PictureProtocol::kIterm2);
  // Through ssh, which hands on what begins with LC_.
  EXPECT_EQ(ProtocolOf({{"LC_TERMINAL", "iTerm2"}}), PictureProtocol::kIterm2);
  EXPECT_EQ(ProtocolOf({{"KITTY_WINDOW_ID", "1"}, {"TMUX", "/tmp/x"}}), PictureProtocol::kNone);
  EXPECT_EQ(ProtocolOf({{"LC_TERMINAL", "iTerm2"}, {"TERM", "screen-256color"}}),
            PictureProtocol::kNone);
}

TEST(InlinePictureTest, SpeaksTheProtocols) {
  EXPECT_EQ(InlinePicture(PictureProtocol::kNone, "abc"), "");
  EXPECT_EQ(InlinePicture(PictureProtocol::kKitty, ""), "");
  EXPECT_EQ(InlinePicture(PictureProtocol::kKitty, "abc"), "\x1b_Ga=T,f=100,q=2,m=0;YWJj\x1b\\\n");
  EXPECT_EQ(InlinePicture(PictureProtocol::kIterm2, "abc"),
            "\x1b]1337;File=inline=1;size=3:YWJj\x07\n");
  // In pieces: the base64 in them is that of the whole.
  const std::string png(10'000, 'x');
  const std::string sequence = InlinePicture(PictureProtocol::kKitty, png);
  std::string base64;
  int pieces = 0;
  for (std::size_t at = sequence.find("\x1b_G"); at != std::string::npos;
       at = sequence.find("\x1b_G", at + 1)) {
    const std::size_t begin = sequence.find(';', at) + 1;
    const std::size_t size = sequence.find("\x1b\\", begin) - begin;
    EXPECT_LE(size, 4096U);
    base64 += sequence.substr(begin, size);
    ++pieces;
  }
  EXPECT_EQ(pieces, 4);
  EXPECT_EQ(base64, absl::Base64Escape(png));
}

constexpr char kPng[] = "\x89PNG\r\n\x1a\n\x1b[2Jnot a real one";

std::string FloatBytes(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

class PictureCommandsTest : public testing::Test {
 protected:
  PictureCommandsTest() {
    server_.handlers.get_filters = [this](const auto& request, v1::Filters* filters) {
      filters_request_ = request;
      if (request.layer() > 3) return BadRequest({{"layer", "There is no layer 4."}});
      filters->set_model_version("models/net/versions/4");
      filters->set_layer(request.layer() == 0 ? 1 : request.layer());
      filters->set_layer_count(3);
      for (const std::int64_t extent : {1, 2, 1, 2}) filters->add_shape(extent);
      if (request.values()) filters->set_values(FloatBytes({0.5F, -1, 2, 0}));
      filters->set_scale(2);
      filters->mutable_picture()->set_png(kPng);
      return grpc::Status::OK;
    };
    server_.handlers.get_feature_maps = [this](const auto& request, v1::FeatureMaps* maps) {
      maps_request_ = request;
      if (request.encoded().resize() == v1::RESIZE_NONE) {
        return BadRequest({{"encoded.files[0]", "The picture is too large."}});
      }
      maps->set_model_version("models/net/versions/4");
      maps->set_block_count(2);
      for (int block = 1; block <= 2; ++block) {
        v1::FeatureMap* const map = maps->add_maps();
        map->set_block(block);
        map->mutable_shape()->set_channels(2);
        map->mutable_shape()->set_height(1);
        map->mutable_shape()->set_width(1);
        if (request.values()) map->set_values(FloatBytes({1, -2}));
        map->mutable_picture()->set_png(absl::StrCat(kPng, block));
      }
      return grpc::Status::OK;
    };
    server_.handlers.explain = [this](const auto& request, v1::Explanation* explanation) {
      explain_request_ = request;
      if (request.target_class() == "coat") {
        return BadRequest({{"target_class", "There is no class 'coat'."}});
      }
      explanation->set_model_version("models/net/versions/4");
      for (const auto& [name, probability] : {std::pair("Bag", 0.75F), std::pair("Boot", 0.25F)}) {
        auto* const entry = explanation->add_classes();
        entry->set_name(name);
        entry->set_probability(probability);
      }
      *explanation->mutable_target() = explanation->classes(0);
      explanation->set_method(request.method() == v1::EXPLANATION_METHOD_OCCLUSION
                                  ? request.method()
                                  : v1::EXPLANATION_METHOD_GRAD_CAM);
      explanation->set_block(2);
      explanation->set_block_count(3);
      explanation->set_height(1);
      explanation->set_width(2);
      explanation->set_maximum(0.5);
      if (request.values()) explanation->set_values(FloatBytes({0, 0.5F}));
      explanation->set_png(kPng);
      return grpc::Status::OK;
    };
    server_.handlers.get_job = [](const auto& request, v1::TrainingJob* job) {
      job->set_name(request.name());
      job->set_state(v1::JOB_STATE_FAILED);
      if (request.name() != "jobs/done") return grpc::Status::OK;
      job->mutable_result()->set_model_version("models/net/versions/4");
      return grpc::Status::OK;
    };
    server_.handlers.get_model = [](const auto&, v1::Model* model) {
      v1::ModelVersion* const version = model->add_versions();
      version->set_version(4);
      version->mutable_spec()->set_dataset("small");
      return grpc::Status::OK;
    };
    server_.handlers.get_images = [](const auto& request, v1::GetImagesResponse* response) {
      if (request.name() != "datasets/small") return BadRequest({{"name", "No such data set."}});
      response->add_class_names("Bag");
      response->add_images()->set_index(request.indices(0));
      response->mutable_images(0)->set_data("pixels");
      return grpc::Status::OK;
    };
    server_.Start();
    std::ofstream(Path("boot.png"), std::ios::binary) << kPng;
  }

  int Run(std::vector<std::string> arguments, const std::string& format = "text") {
    arguments.push_back("--server=" + server_.address());
    arguments.push_back("--output=" + format);
    out_.str("");
    err_.str("");
    const Terminal terminal{.out = out_,
                            .err = err_,
                            .interactive = protocol_ != PictureProtocol::kNone,
                            .pictures = protocol_};
    return RunCommandLine(arguments, terminal, [] { return false; });
  }

  std::string Path(const std::string& name) const { return server_.folder() + "/" + name; }

  static std::string Content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  std::string out() const { return out_.str(); }
  std::string err() const { return err_.str(); }

  FakeServer server_;
  PictureProtocol protocol_ = PictureProtocol::kNone;
  v1::GetFiltersRequest filters_request_;
  v1::GetFeatureMapsRequest maps_request_;
  v1::ExplainRequest explain_request_;

 private:
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(PictureCommandsTest, FiltersAreWrittenNamedAfterVersionAndLayer) {
  EXPECT_EQ(Run({"filters", "net@4", "--layer=2", "--zoom=5", "-o", server_.folder()}), 0) << err();
  EXPECT_EQ(filters_request_.name(), "models/net/versions/4");
  EXPECT_EQ(filters_request_.layer(), 2);
  EXPECT_EQ(filters_request_.zoom(), 5);
  EXPECT_FALSE(filters_request_.values());
  EXPECT_EQ(Content(Path("net-v4-layer2.png")), kPng);
  EXPECT_THAT(out(), HasSubstr("net@4, convolution layer 2 of 3: 1 filter of 2×1×2"));
  EXPECT_THAT(out(), HasSubstr(Path("net-v4-layer2.png")));
  EXPECT_THAT(out(), Not(HasSubstr("\x1b")));
}

TEST_F(PictureCommandsTest, AFileThatExistsIsReplacedOnlyByForce) {
  const std::string path = Path("mine.png");
  std::ofstream(path) << "mine";
  EXPECT_EQ(Run({"filters", "net", "-o", path}), 1);
  EXPECT_THAT(err(), HasSubstr("--force"));
  EXPECT_EQ(Content(path), "mine");
  EXPECT_EQ(Run({"filters", "net", "-o", path, "--force"}), 0) << err();
  EXPECT_EQ(Content(path), kPng);
  EXPECT_EQ(Run({"filters", "net", "-o", Path("no/folder.png")}), 1);
  EXPECT_THAT(err(), HasSubstr("no/folder.png"));
}

TEST_F(PictureCommandsTest, NumbersArePrintedForPrograms) {
  EXPECT_EQ(Run({"filters", "net"}, "csv"), 0) << err();
  EXPECT_TRUE(filters_request_.values());
  EXPECT_EQ(out(),
            "filter,input,row,column,value\n0,0,0,0,0.5\n0,0,0,1,-1\n0,1,0,0,2\n0,1,0,1,0\n");
  EXPECT_EQ(Run({"filters", "net"}, "json"), 0) << err();
  EXPECT_THAT(out(), StartsWith("{"));
  EXPECT_THAT(out(), HasSubstr(absl::Base64Escape(kPng)));
  EXPECT_EQ(Run({"features", "net", Path("boot.png"), "--block=1"}, "csv"), 0) << err();
  EXPECT_TRUE(maps_request_.values());
  EXPECT_EQ(maps_request_.block(), 1);
  EXPECT_EQ(out(),
            "block,channel,row,column,value\n1,0,0,0,1\n1,1,0,0,-2\n2,0,0,0,1\n2,1,0,0,-2\n");
  // Nothing was written.
  EXPECT_FALSE(std::filesystem::exists("net-v4-layer1.png"));
  EXPECT_FALSE(std::filesystem::exists("net-v4-boot-block1.png"));
}

TEST_F(PictureCommandsTest, ATerminalThatCanShowsThePicture) {
  protocol_ = PictureProtocol::kKitty;
  EXPECT_EQ(Run({"filters", "net", "-o", Path("a.png")}), 0) << err();
  EXPECT_THAT(out(), HasSubstr(InlinePicture(PictureProtocol::kKitty, kPng)));
  protocol_ = PictureProtocol::kIterm2;
  EXPECT_EQ(Run({"features", "net", Path("boot.png"), "-o", server_.folder()}), 0) << err();
  EXPECT_THAT(out(), HasSubstr(InlinePicture(PictureProtocol::kIterm2, absl::StrCat(kPng, 2))));
}

TEST_F(PictureCommandsTest, AJobStandsForTheModelThatItMade) {
  EXPECT_EQ(Run({"filters", "jobs/done", "-o", Path("a.png")}), 0) << err();
  EXPECT_EQ(filters_request_.name(), "models/net/versions/4");
  EXPECT_EQ(Run({"filters", "jobs/bad", "-o", Path("b.png")}), 1);
  EXPECT_THAT(err(), HasSubstr("The job bad is failed and has no model."));
}

TEST_F(PictureCommandsTest, FeatureMapsOfAFileGoToAFolderThatIsMade) {
  EXPECT_EQ(Run({"features", "net", Path("boot.png"), "-o", Path("maps")}), 0) << err();
  EXPECT_EQ(maps_request_.encoded().files(0), kPng);
  EXPECT_EQ(maps_request_.encoded().inversion(), v1::INVERSION_AUTO);
  EXPECT_EQ(Content(Path("maps/net-v4-boot-block1.png")), absl::StrCat(kPng, 1));
  EXPECT_EQ(Content(Path("maps/net-v4-boot-block2.png")), absl::StrCat(kPng, 2));
  EXPECT_THAT(out(), HasSubstr("2 of 1×1"));
  // All or none: one of the two is in the way.
  std::filesystem::remove(Path("maps/net-v4-boot-block1.png"));
  EXPECT_EQ(Run({"features", "net", Path("boot.png"), "-o", Path("maps")}), 1);
  EXPECT_THAT(err(), HasSubstr("--force"));
  EXPECT_FALSE(std::filesystem::exists(Path("maps/net-v4-boot-block1.png")));
  EXPECT_EQ(Run({"features", "net", Path("boot.png"), "-o", Path("maps"), "--force"}), 0) << err();
  EXPECT_EQ(Run({"features", "net", Path("boot.png"), "-o", Path("boot.png")}), 1);
  EXPECT_THAT(err(), HasSubstr("is not a folder"));
}

TEST_F(PictureCommandsTest, FeatureMapsOfATestImageOfTheModelsDataSet) {
  EXPECT_EQ(Run({"features", "net", "--test-image=7", "-o", server_.folder()}), 0) << err();
  EXPECT_EQ(maps_request_.raw().pixels(), "pixels");
  EXPECT_THAT(out(), HasSubstr("test image 7 of small, Bag"));
  EXPECT_EQ(Content(Path("net-v4-test7-block2.png")), absl::StrCat(kPng, 2));
}

TEST_F(PictureCommandsTest, AnExplanationIsWrittenBesideTheAnswer) {
  EXPECT_EQ(
      Run({"explain", "net", "--test-image=7", "--class=Bag", "--layer=2", "-o", server_.folder()}),
      0)
      << err();
  EXPECT_EQ(explain_request_.raw().pixels(), "pixels");
  EXPECT_EQ(explain_request_.target_class(), "Bag");
  EXPECT_EQ(explain_request_.block(), 2);
  EXPECT_FALSE(explain_request_.values());
  EXPECT_EQ(Content(Path("net-v4-test7-grad-cam.png")), kPng);
  EXPECT_THAT(out(), HasSubstr("✔ Bag"));
  EXPECT_THAT(out(), HasSubstr("Evidence for Bag (75.00 %) by Grad-CAM of block 2 of 3"));
  EXPECT_EQ(
      Run({"explain", "net", Path("boot.png"), "--method=occlusion", "--window=4", "--stride=2"},
          "csv"),
      0)
      << err();
  EXPECT_EQ(explain_request_.encoded().files(0), kPng);
  EXPECT_EQ(explain_request_.window(), 4);
  EXPECT_EQ(explain_request_.stride(), 2);
  EXPECT_EQ(out(), "row,column,value\n0,0,0\n0,1,0.5\n");
  EXPECT_EQ(Run({"explain", "net", Path("boot.png"), "--class=coat"}), 1);
  EXPECT_EQ(err(), "atelier: --class: There is no class 'coat'.\n");
  EXPECT_EQ(Run({"explain", "net", Path("boot.png"), "--method=grad-cam"}, "json"), 0) << err();
  EXPECT_EQ(explain_request_.method(), v1::EXPLANATION_METHOD_GRAD_CAM);
}

TEST_F(PictureCommandsTest, MistakesAreNamedAsTheCommandLineNamesThem) {
  EXPECT_EQ(Run({"filters", "net", "--layer=4"}), 1);
  EXPECT_EQ(err(), "atelier: --layer: There is no layer 4.\n");
  EXPECT_EQ(Run({"features", "net", Path("boot.png"), "--resize=none"}), 1);
  EXPECT_EQ(err(), absl::StrCat("atelier: ", Path("boot.png"), ": The picture is too large.\n"));
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"filters"},
           {"filters", "net", "--layer=0"},
           {"filters", "net", "--layer=conv1"},
           {"filters", "net", "--zoom=33"},
           {"filters", "a/b"},
           {"features", "net"},
           {"explain", "net"},
           {"explain", "net", Path("boot.png"), "--method=lime"},
           {"explain", "net", Path("boot.png"), "--block=0"},
           {"features", "net", Path("boot.png"), "--test-image=1"},
           {"features", "net", Path("none.png")},
           {"features", "net", "--test-image=-1"},
           {"features", "net", "--test-image=1", "--dataset=other"}}) {
    EXPECT_EQ(Run(arguments), 1);
    EXPECT_THAT(err(), StartsWith("atelier: "));
    EXPECT_EQ(out(), "");
  }
}

}  // namespace
}  // namespace atelier::client
