// Tests of whole commands against a fake server: what they send, print and end with.
#include "client/command_line.h"

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "tests/unit/client/fake_server.h"
#include "tests/unit/client/job_events.h"

namespace atelier::client {
namespace {

constexpr char kAbcSha256[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

class CommandLineTest : public testing::Test {
 protected:
  int Run(std::vector<std::string> arguments, const std::string& format = "text") {
    arguments.push_back("--server=" + server_.address());
    arguments.push_back("--output=" + format);
    out_.str("");
    err_.str("");
    const Terminal terminal{.out = out_, .err = err_, .utf8 = utf8_};
    return RunCommandLine(arguments, terminal, [this] { return interrupted_.load(); });
  }

  std::string out() const { return out_.str(); }
  std::string err() const { return err_.str(); }
  std::vector<std::string> lines() const {
    std::vector<std::string> lines = absl::StrSplit(out(), '\n');
    EXPECT_EQ(lines.back(), "");
    lines.pop_back();
    return lines;
  }

  // A job that sends a few events and completes.
  void ServeAJob() {
    server_.handlers.start_training = [this](const auto& request, v1::TrainingJob* job) {
      started_ = request;
      *job = MakeJob();
      return grpc::Status::OK;
    };
    server_.handlers.get_job = [](const auto&, v1::TrainingJob* job) {
      *job = MakeCompletedJob();
      return grpc::Status::OK;
    };
    server_.handlers.stream_metrics = [](auto*, const auto& request, auto* writer) {
      writer->Write(TransitionEvent(1, v1::JOB_STATE_QUEUED));
      if (!request.epochs_only()) writer->Write(StepEvent(2, 1, 5));
      writer->Write(EpochEvent(3, 1, true));
      writer->Write(EpochEvent(4, 2));
      writer->Write(TransitionEvent(5, v1::JOB_STATE_COMPLETED));
      return grpc::Status::OK;
    };
    server_.Start();
  }

  // Answers every image with class 1, its raw bytes or file counted into `images_`.
  void ServeClassification() {
    server_.handlers.get_images = [](const v1::GetImagesRequest& request, auto* response) {
      for (const auto index : request.indices()) {
        if (index >= 500) return BadRequest({{"indices", "There are 500 images."}});
        auto* const image = response->add_images();
        image->set_index(index);
        image->set_label(1);
        image->set_data(std::string(4, '\x7f'));
      }
      response->mutable_image_shape()->set_channels(1);
      response->mutable_image_shape()->set_height(2);
      response->mutable_image_shape()->set_width(2);
      response->add_class_names("Bag");
      response->add_class_names("Trouser");
      return grpc::Status::OK;
    };
    server_.handlers.classify = [this](const v1::ClassifyRequest& request, auto* response) {
      {
        // Files are classified by several calls at once.
        absl::MutexLock lock(&mutex_);
        last_classified_ = request;
      }
      for (int i = 0; i < request.encoded().files_size(); ++i) {
        if (request.encoded().files(i).size() < 10) {
          return BadRequest({{absl::StrCat("encoded.files[", i, "]"), "The PNG is truncated."}});
        }
      }
      const std::size_t images = request.has_raw()
                                     ? request.raw().pixels().size() / 4
                                     : static_cast<std::size_t>(request.encoded().files_size());
      for (std::size_t i = 0; i < images; ++i) {
        auto* const entry = response->add_classifications()->add_classes();
        entry->set_name("Trouser");
        entry->set_probability(0.75F);
      }
      response->set_model_version("models/cnn/versions/2");
      if (request.calibrated()) response->set_temperature(1.5);
      return grpc::Status::OK;
    };
    server_.Start();
  }

  std::string WriteFile(const std::string& name, const std::string& bytes) {
    const std::string path = server_.folder() + "/" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

  static std::string ReadFile(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  FakeServer server_;
  std::atomic<bool> interrupted_ = false;
  bool utf8_ = true;
  v1::StartTrainingRequest started_;

  // The request that was answered last.
  v1::ClassifyRequest classified() {
    absl::MutexLock lock(&mutex_);
    return last_classified_;
  }

 private:
  absl::Mutex mutex_;
  v1::ClassifyRequest last_classified_ ABSL_GUARDED_BY(mutex_);
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(CommandLineTest, UsageErrorsAreOneSentenceAndExitOne) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{},
                                             {"nonsense"},
                                             {"watch"},
                                             {"train", "--epochs=many"},
                                             {"train", "--memory=lots"},
                                             {"train", "--nonsense"},
                                             {"train", "--recipe=wild"},
                                             {"jobs", "--limit=0"},
                                             {"show", "a/b"},
                                             {"classify", "--model=x"},
                                             {"classify", "--model=x", "--invert=maybe", "a.png"},
                                             {"classify", "--model=x", "--resize=up", "a.png"},
                                             {"jobs", "--state=asleep"}}) {
    EXPECT_EQ(Run(arguments), 1);
    EXPECT_EQ(out(), "");
    EXPECT_TRUE(absl::StartsWith(err(), "atelier: ")) << err();
    EXPECT_EQ(err().find('\n'), err().size() - 1) << err();
  }
}

TEST_F(CommandLineTest, AnEmptyValueDoesNotTakeTheNextWord) {
  ServeAJob();
  EXPECT_EQ(Run({"train", "--name=", "--detach"}), 1);
  EXPECT_EQ(err(), "atelier: --name needs a value after '='.\n");
  EXPECT_EQ(started_.ByteSizeLong(), 0U);
}

TEST_F(CommandLineTest, NumbersAreDecimalAndNeverCutDown) {
  ServeAJob();
  EXPECT_EQ(Run({"train", "--seed=-0012", "--epochs=010", "--shards=auto", "--detach"}), 0);
  EXPECT_EQ(started_.spec().seed(), -12);
  EXPECT_EQ(started_.spec().epochs(), 10);
  EXPECT_EQ(Run({"train", "--seed=9223372036854775808", "--detach"}), 1);
  EXPECT_TRUE(
      absl::StartsWith(err(), "atelier: --seed: 9223372036854775808 is too large. `atelier train"))
      << err();
}

// Each mistake with the sentence it is answered with.
TEST_F(CommandLineTest, AMistakeIsNamedWithWhatWouldBeRight) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"train", "--presett", "cnn-1"}, "There is no option --presett. Did you mean --preset?"},
      {{"train", "--epohcs=3"}, "There is no option --epohcs. Did you mean --epochs?"},
      {{"jobs", "--batch"}, "There is no option --batch. `atelier jobs --help` lists the options."},
      {{"classify", "--modle=cnn", "a.png"}, "There is no option --modle. Did you mean --model?"},
      {{"--outptu=json", "jobs"}, "There is no option --outptu. Did you mean --output?"},
      {{"trian"}, "There is no command 'trian'. Did you mean train?"},
      {{"nonsense"}, "There is no command 'nonsense'. `atelier --help` lists the commands."},
      {{"bench", "clasify"}, "There is no command 'clasify'. Did you mean classify?"},
      {{"jobs", "mine"}, "Unexpected argument 'mine'. `atelier jobs --help` shows the usage."},
      {{}, "A command is missing. `atelier --help` shows the usage."},
      {{"train", "--epochs"}, "--epochs needs a value. `atelier train --help` shows the usage."},
      {{"train", "--epochs=8s"},
       "--epochs: '8s' is not a whole number. `atelier train --help` shows the usage."},
      {{"bench", "classify", "cnn", "--rate=fast"},
       "--rate: 'fast' is not a number. `atelier bench classify --help` shows the usage."},
      {{"jobs", "--all", "--limit=3"},
       "--limit and --all cannot be combined. `atelier jobs --help` shows the usage."},
      {{"jobs", "--limit=0"},
       "--limit: 0 is out of range (at least 1). `atelier jobs --help` shows the usage."},
      {{"top", "--interval=soon"},
       "--interval: 'soon' is not a duration; write one like 8, 8s, 500ms or 2m. `atelier top "
       "--help` shows the usage."},
      {{"top", "--interval=2h"},
       "--interval: 2h is out of range (100ms to 1h). `atelier top --help` shows the usage."},
      {{"help", "trian"}, "There is no command 'trian'. `atelier --help` lists the commands."}};
  for (const auto& [arguments, sentence] : cases) {
    EXPECT_EQ(Run(arguments), 1);
    EXPECT_EQ(err(), absl::StrCat("atelier: ", sentence, "\n"));
    EXPECT_EQ(out(), "");
  }
}

TEST_F(CommandLineTest, OptionsMayBeSpelledWithUnderscores) {
  ServeAJob();
  EXPECT_EQ(Run({"train", "--batch_size=64", "--model_name", "my-net", "--name=a_b", "--detach"}),
            0)
      << err();
  EXPECT_EQ(started_.spec().batch_size(), 64);
  EXPECT_EQ(started_.spec().model_name(), "my-net");
  EXPECT_EQ(started_.base_name(), "a_b");
  EXPECT_EQ(Run({"train", "--bath_size=64"}), 1);
  EXPECT_TRUE(absl::StartsWith(err(),
                               "atelier: There is no option --bath_size. Did you mean "
                               "--batch-size?"))
      << err();
}

TEST_F(CommandLineTest, HelpExplainsTheProgramAndItsCommands) {
  EXPECT_EQ(Run({"--help"}), 0);
  const std::string program = out();
  EXPECT_EQ(Run({"help"}), 0);
  EXPECT_EQ(out(), program);
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"train"}, {"bench", "classify"}}) {
    std::vector<std::string> words = command;
    words.push_back("--help");
    EXPECT_EQ(Run(words), 0);
    const std::string help = out();
    words.pop_back();
    words.insert(words.begin(), "help");
    EXPECT_EQ(Run(words), 0);
    EXPECT_EQ(out(), help);
  }
}

TEST_F(CommandLineTest, HelpAndVersionGoToStandardOutput) {
  EXPECT_EQ(Run({"train", "--help"}), 0);
  EXPECT_TRUE(absl::StrContains(out(), "Examples:"));
  EXPECT_EQ(Run({"--version"}), 0);
  EXPECT_TRUE(absl::StartsWith(out(), "atelier "));
  EXPECT_EQ(err(), "");
}

// Whichever way and wherever the model is named.
TEST_F(CommandLineTest, AModelIsAnArgumentOrAnOption) {
  ServeClassification();
  const std::string png = WriteFile("good.png", "\x89PNG\r\n\x1a\n and more");
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"classify", "cnn@2", png},
                                             {"classify", "--model=cnn@2", png},
                                             {"classify", "--model", "cnn@2", png},
                                             {"classify", png, "--model=cnn@2"},
                                             {"classify", "--top-k=1", png, "--model", "cnn@2"}}) {
    EXPECT_EQ(Run(arguments), 0) << err();
    EXPECT_EQ(classified().model(), "models/cnn/versions/2");
    EXPECT_EQ(classified().encoded().files_size(), 1);
  }
}

// `night` is a job with the model cnn-3@4, `study` an experiment and `net` a model.
TEST_F(CommandLineTest, ANameOfAnotherKindIsExplained) {
  server_.handlers.get_job = [](const v1::GetJobRequest& request, v1::TrainingJob* job) {
    if (request.name() != "jobs/night") {
      return ErrorWithReason(grpc::StatusCode::NOT_FOUND, "JOB_NOT_FOUND", "There is no job.");
    }
    *job = MakeCompletedJob();
    return grpc::Status::OK;
  };
  server_.handlers.get_confusion_matrix = [](const auto&, auto*) {
    return ErrorWithReason(grpc::StatusCode::NOT_FOUND, "JOB_NOT_FOUND", "There is no job.");
  };
  server_.handlers.get_experiment = [](const v1::GetExperimentRequest& request, auto*) {
    return request.name() == "experiments/study"
               ? grpc::Status::OK
               : ErrorWithReason(grpc::StatusCode::NOT_FOUND, "EXPERIMENT_NOT_FOUND", "None.");
  };
  server_.handlers.get_model = [](const v1::GetModelRequest& request, auto*) {
    return request.name() == "models/net"
               ? grpc::Status::OK
               : ErrorWithReason(grpc::StatusCode::NOT_FOUND, "MODEL_NOT_FOUND", "No model.");
  };
  server_.handlers.download_model = [](auto*, const auto&, auto*) {
    return ErrorWithReason(grpc::StatusCode::NOT_FOUND, "MODEL_NOT_FOUND", "No model.");
  };
  server_.Start();
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"show", "study"}, "study is an experiment, not a job; `atelier watch study"},
      {{"confusion", "study"}, "study is an experiment, not a job; `atelier watch study"},
      {{"show", "net"}, "net is a model, not a job; `atelier models net"},
      {{"watch", "net"}, "net is a model, not a job or an experiment; `atelier models net"},
      {{"compare", "net"}, "net is a model, not a job or an experiment; `atelier models net"},
      {{"download", "night"}, "night is a job, not a model; its model is cnn-3@4."},
      {{"download", "study"},
       "study is an experiment, not a model; the model of its best run is experiments/study."},
      {{"models", "night"}, "night is a job, not a model; its model is cnn-3@4."}};
  for (const auto& [arguments, sentence] : cases) {
    EXPECT_EQ(Run(arguments), 102) << err();
    EXPECT_TRUE(absl::StartsWith(err(), "atelier: " + sentence)) << err();
  }
  EXPECT_EQ(Run({"show", "net@3"}), 1);
  EXPECT_TRUE(
      absl::StartsWith(err(), "atelier: net@3 is a model, not a job; `atelier models net@3"))
      << err();
  EXPECT_EQ(Run({"show", "none"}), 102);
  EXPECT_EQ(err(), "atelier: There is no job. `atelier jobs` lists the jobs.\n");
}

TEST_F(CommandLineTest, AdviceNamesTheResource) {
  server_.handlers.delete_job = [](const auto&, auto*) {
    return ErrorWithReason(grpc::StatusCode::FAILED_PRECONDITION, "JOB_NOT_ENDED", "It runs.");
  };
  server_.handlers.delete_model = [](const auto&, auto*) {
    return ErrorWithReason(grpc::StatusCode::FAILED_PRECONDITION, "VERSION_IN_USE", "It is used.");
  };
  server_.Start();
  EXPECT_EQ(Run({"delete", "night-1"}), 1);
  EXPECT_EQ(err(), "atelier: It runs. Stop it first: `atelier stop night-1`.\n");
  EXPECT_EQ(Run({"delete", "cnn@3"}), 1);
  EXPECT_TRUE(absl::StrContains(err(), "`atelier alias cnn ALIAS --remove`")) << err();
}

TEST_F(CommandLineTest, AMissingServerIsToldAtOnce) {
  EXPECT_EQ(Run({"jobs"}), 1);
  EXPECT_EQ(out(), "");
  EXPECT_TRUE(absl::StrContains(err(), server_.address())) << err();
  EXPECT_TRUE(absl::StrContains(err(), "atelierd"));
  std::ostringstream sink;
  const Terminal terminal{.out = sink, .err = sink};
  EXPECT_EQ(RunCommandLine({"jobs", "--server=nonsense"}, terminal, [] { return false; }), 1);
  EXPECT_TRUE(absl::StrContains(sink.str(), "HOST:PORT"));
}

TEST_F(CommandLineTest, TrainSendsWhatWasGivenAndNothingElse) {
  ServeAJob();
  EXPECT_EQ(Run({"train", "--preset=cnn-3", "--epochs=3", "--memory=1GiB", "--dropout=0",
                 "--name=night", "--precision=float32", "--detach"}),
            0);
  const v1::TrainingSpec& spec = started_.spec();
  EXPECT_EQ(spec.preset(), "cnn-3");
  EXPECT_EQ(spec.epochs(), 3);
  EXPECT_EQ(spec.memory_bytes(), 1 << 30);
  EXPECT_TRUE(spec.has_dropout());
  EXPECT_EQ(spec.precision(), v1::PRECISION_FLOAT32);
  EXPECT_EQ(started_.base_name(), "night");
  EXPECT_EQ(started_.request_id().size(), 32U);
  EXPECT_FALSE(spec.has_batch_size() || spec.has_seed() || spec.has_shards() ||
               spec.has_conv_depth());
  EXPECT_TRUE(absl::StrContains(out(), "atelier watch night-1 --server="));
}

TEST_F(CommandLineTest, TrainNamesTheModelToStartFrom) {
  ServeAJob();
  EXPECT_EQ(Run({"train", "--from=base@production", "--freeze=2", "--detach"}), 0) << err();
  EXPECT_EQ(started_.spec().start_from(), "models/base/versions/production");
  EXPECT_EQ(started_.spec().freeze(), 2);
  EXPECT_EQ(Run({"train", "--from=base", "--from=none", "--detach"}), 0) << err();
  EXPECT_EQ(started_.spec().start_from(), "");
  EXPECT_EQ(Run({"train", "--from=@3", "--detach"}), 1);
  EXPECT_TRUE(absl::StrContains(err(), "--from")) << err();
}

TEST_F(CommandLineTest, TrainResemblesAJobOrAVersion) {
  ServeAJob();
  EXPECT_EQ(Run({"train", "--like=night-1", "--detach"}), 0) << err();
  EXPECT_EQ(started_.like(), "jobs/night-1");
  EXPECT_EQ(Run({"train", "--like=base@3", "--detach"}), 0) << err();
  EXPECT_EQ(started_.like(), "models/base/versions/3");
}

TEST_F(CommandLineTest, ContinueTakesEpochsInAllOrMore) {
  ServeAJob();
  EXPECT_EQ(Run({"continue", "night-1", "--epochs=+5", "--learning-rate=0.1", "--detach"}), 0)
      << err();
  EXPECT_EQ(started_.continue_job(), "jobs/night-1");
  EXPECT_EQ(started_.more_epochs(), 5);
  EXPECT_FALSE(started_.spec().has_epochs());
  EXPECT_EQ(started_.spec().learning_rate(), 0.1);
  EXPECT_EQ(Run({"continue", "jobs/night-1", "--epochs", "30", "--detach"}), 0) << err();
  EXPECT_EQ(started_.spec().epochs(), 30);
  EXPECT_FALSE(started_.has_more_epochs());
  EXPECT_EQ(Run({"continue", "night-1", "--detach"}), 0) << err();
  EXPECT_FALSE(started_.has_spec() && started_.spec().has_epochs());
  EXPECT_EQ(Run({"continue", "night-1", "--epochs=+-5"}), 1);
  EXPECT_EQ(Run({"continue", "night-1", "--dropout=0.1"}), 1);
}

TEST_F(CommandLineTest, OfAnOptionGivenTwiceTheLastCounts) {
  ServeAJob();
  EXPECT_EQ(Run({"train", "--epochs=3", "--epochs=4", "--detach"}), 0) << err();
  EXPECT_EQ(started_.spec().epochs(), 4);
}

TEST_F(CommandLineTest, TrainRepeatsABrokenStartWithTheSameRequestId) {
  ServeAJob();
  std::vector<std::string> ids;
  server_.handlers.start_training = [&ids](const auto& request, v1::TrainingJob* job) {
    ids.push_back(request.request_id());
    *job = MakeJob();
    return ids.size() == 1 ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "") : grpc::Status::OK;
  };
  EXPECT_EQ(Run({"train", "--preset=dense", "--detach"}), 0);
  ASSERT_EQ(ids.size(), 2U);
  EXPECT_EQ(ids[0], ids[1]);
}

TEST_F(CommandLineTest, TrainNamesEveryWrongFlag) {
  ServeAJob();
  server_.handlers.start_training = [](const auto&, auto*) {
    return BadRequest({{"spec.epochs", "It is 0."}, {"spec.batch_size", "It is 0."}});
  };
  EXPECT_EQ(Run({"train", "--epochs=0", "--batch-size=0"}), 1);
  EXPECT_EQ(err(), "atelier: --epochs: It is 0.\natelier: --batch-size: It is 0.\n");
}

TEST_F(CommandLineTest, TrainFollowsAndSaysWhatCameOut) {
  ServeAJob();
  EXPECT_EQ(Run({"train", "--preset=cnn-3"}), 0);
  for (const char* words : {"night-1", "★ best", "✔ completed after 1m 12s", "91.83 %", "897,802",
                            "cnn-3@4", "3 of 5 trained", "atelier confusion night-1"}) {
    EXPECT_TRUE(absl::StrContains(out(), words)) << words << " in " << out();
  }
  EXPECT_EQ(out().find_first_of("\r\x1b"), std::string::npos);
}

TEST_F(CommandLineTest, JsonFollowsAsEventsAndEndsWithTheJob) {
  ServeAJob();
  EXPECT_EQ(Run({"watch", "night-1"}, "json"), 0);
  ASSERT_EQ(lines().size(), 6U);
  for (std::size_t i = 0; i < 5; ++i) {
    v1::JobEvent event;
    ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(lines()[i], &event).ok());
    EXPECT_EQ(event.number(), static_cast<std::int64_t>(i) + 1);
  }
  EXPECT_TRUE(absl::StrContains(lines()[5], "\"test_accuracy\":0.9183"));
}

TEST_F(CommandLineTest, CsvFollowsAsARowPerEpoch) {
  ServeAJob();
  EXPECT_EQ(Run({"watch", "night-1"}, "csv"), 0);
  EXPECT_EQ(lines(),
            (std::vector<std::string>{
                "epoch,training_loss,training_accuracy,validation_loss,validation_accuracy,"
                "learning_rate,seconds,images_per_second,best,validation_macro_f1",
                "1,0.5123,0.819,0.3911,0.856,0,15.2,3912,true,0.85",
                "2,0.5123,0.819,0.3911,0.856,0,15.2,3912,false,0.85"}));
}

TEST_F(CommandLineTest, ExitCodesFollowTheJobsState) {
  v1::JobState state = v1::JOB_STATE_FAILED;
  ServeAJob();
  server_.handlers.get_job = [&state](const auto&, v1::TrainingJob* job) {
    *job = MakeJob(state);
    return grpc::Status::OK;
  };
  EXPECT_EQ(Run({"watch", "night-1"}), 100);
  EXPECT_TRUE(absl::StrContains(out(), "atelier logs night-1"));
  EXPECT_EQ(Run({"show", "night-1"}), 100);
  state = v1::JOB_STATE_TRAINING;
  EXPECT_EQ(Run({"show", "night-1"}), 101);
  state = v1::JOB_STATE_STOPPED;
  EXPECT_EQ(Run({"watch", "night-1"}), 103);
  server_.handlers.get_job = [](const auto&, auto*) {
    return ErrorWithReason(grpc::StatusCode::NOT_FOUND, "JOB_NOT_FOUND", "There is no job none.");
  };
  EXPECT_EQ(Run({"show", "none"}), 102);
  EXPECT_EQ(out(), "");
  EXPECT_TRUE(absl::StrContains(err(), "none"));
}

TEST_F(CommandLineTest, CtrlCDetachesAndSaysHowToComeBack) {
  ServeAJob();
  server_.handlers.stream_metrics = [this](grpc::ServerContext* context, const auto&,
                                           auto* writer) {
    writer->Write(EpochEvent(1, 1));
    interrupted_ = true;
    while (!context->IsCancelled()) std::this_thread::yield();
    return grpc::Status::CANCELLED;
  };
  EXPECT_EQ(Run({"train", "--preset=dense"}), 130);
  EXPECT_TRUE(absl::StrContains(out(), "atelier watch night-1"));
  EXPECT_TRUE(absl::StrContains(out(), "atelier stop night-1"));
}

TEST_F(CommandLineTest, JobsFetchesPagesUntilTheLimit) {
  std::vector<v1::ListJobsRequest> requests;
  server_.handlers.list_jobs = [&](const v1::ListJobsRequest& request, auto* response) {
    requests.push_back(request);
    *response->add_jobs() = MakeCompletedJob();
    *response->add_jobs() = MakeJob(v1::JOB_STATE_TRAINING);
    if (requests.size() % 2 == 1) response->set_next_page_token("next");
    return grpc::Status::OK;
  };
  server_.Start();
  EXPECT_EQ(Run({"jobs", "--limit=2", "--state=training"}), 0);
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].page_size(), 2);
  EXPECT_EQ(requests[0].states(0), v1::JOB_STATE_TRAINING);
  EXPECT_TRUE(absl::StrContains(out(), "jobs --all"));
  requests.clear();
  EXPECT_EQ(Run({"jobs", "--all"}, "json"), 0);
  EXPECT_EQ(lines().size(), 4U);
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[1].page_token(), "next");
  EXPECT_EQ(Run({"jobs", "--limit=2"}, "csv"), 0);
  EXPECT_EQ(lines().size(), 3U);
}

TEST_F(CommandLineTest, TextIsFreeOfTheServersControlCharacters) {
  server_.handlers.list_jobs = [](const auto&, v1::ListJobsResponse* response) {
    response->add_jobs()->set_name("jobs/\x1b[31mred");
    return grpc::Status::OK;
  };
  server_.Start();
  EXPECT_EQ(Run({"jobs"}), 0);
  EXPECT_TRUE(absl::StrContains(out(), "\\x1b[31mred"));
  EXPECT_EQ(out().find('\x1b'), std::string::npos);
}

TEST_F(CommandLineTest, StopSaysWhatWillHappen) {
  ServeAJob();
  server_.handlers.stop_job = [](const auto&, v1::TrainingJob* job) {
    *job = MakeJob(v1::JOB_STATE_STOPPING);
    job->mutable_progress()->set_epoch(4);
    return grpc::Status::OK;
  };
  EXPECT_EQ(Run({"stop", "night-1"}), 0);
  EXPECT_TRUE(absl::StrContains(out(), "evaluated and stored"));
  server_.handlers.get_job = [](const auto&, v1::TrainingJob* job) {
    *job = MakeJob(v1::JOB_STATE_STOPPED);
    return grpc::Status::OK;
  };
  EXPECT_EQ(Run({"stop", "night-1", "--wait"}), 0);
  EXPECT_TRUE(absl::StrContains(out(), "■ stopped"));
}

TEST_F(CommandLineTest, ConfusionNamesTheWorstPairs) {
  server_.handlers.get_confusion_matrix = [](const auto&, v1::ConfusionMatrix* matrix) {
    for (const char* name : {"T-shirt/top", "Bag", "Shirt"}) matrix->add_class_names(name);
    for (const auto& counts : {std::vector<int>{990, 0, 10}, {0, 1000, 0}, {96, 4, 900}}) {
      auto* const row = matrix->add_rows();
      for (const int count : counts) row->add_counts(count);
      matrix->add_class_metrics()->set_support(matrix->rows_size() == 1 ? 500 : 1000);
    }
    matrix->mutable_class_metrics(1)->set_f1(0.9);
    return grpc::Status::OK;
  };
  server_.Start();
  EXPECT_EQ(Run({"confusion", "night-1"}), 0);
  const std::string text = out();
  EXPECT_TRUE(absl::StrContains(text, "Shirt → T-shirt/top  96 of 1,000  (9.6 %)")) << text;
  EXPECT_LT(text.find("Shirt → T-shirt/top"), text.find("T-shirt/top → Shirt"));
  EXPECT_TRUE(absl::StrContains(text, "recall"));
  // One class of three has an F1 of 0.9, and 1,000 of 2,500 images.
  EXPECT_TRUE(absl::StrContains(text, "macro mean         0.0 %   0.0 %  30.0 %    2,500")) << text;
  EXPECT_TRUE(absl::StrContains(text, "weighted mean      0.0 %   0.0 %  36.0 %    2,500")) << text;
  EXPECT_EQ(Run({"confusion", "night-1"}, "csv"), 0);
  EXPECT_EQ(lines()[3], "Shirt,96,4,900");
}

TEST_F(CommandLineTest, TestImagesGoInOneRequestAndAreCompared) {
  ServeClassification();
  EXPECT_EQ(
      Run({"classify", "--model=cnn@2", "--dataset=small", "--test-image=3", "--test-image=8"}), 0);
  EXPECT_EQ(classified().model(), "models/cnn/versions/2");
  EXPECT_EQ(classified().raw().pixels().size(), 8U);
  EXPECT_TRUE(absl::StrContains(out(), "Test image 8 of small, truly Trouser")) << out();
  EXPECT_TRUE(absl::StrContains(out(), "✔ Trouser   75.00 %  █")) << out();
  EXPECT_TRUE(absl::StrContains(out(), "2 of 2 correct"));
  EXPECT_EQ(
      Run({"classify", "--model=cnn@2", "--dataset=small", "--test-image=1", "--test-image=2"},
          "json"),
      0);
  EXPECT_EQ(lines().size(), 2U);
  EXPECT_EQ(Run({"classify", "--model=cnn", "--dataset=small", "--test-image=500"}), 1);
  EXPECT_TRUE(absl::StrContains(err(), "--test-image: There are 500 images.")) << err();
}

TEST_F(CommandLineTest, ClassifyCalibratesOnRequestOnly) {
  ServeClassification();
  const std::string png = WriteFile("good.png", "\x89PNG\r\n\x1a\n and more");
  EXPECT_EQ(Run({"classify", "cnn@2", "--test-image=1", "--dataset=small"}), 0) << err();
  EXPECT_FALSE(classified().calibrated());
  EXPECT_FALSE(absl::StrContains(out(), "temperature"));
  EXPECT_EQ(Run({"classify", "cnn@2", "--calibrated", "--test-image=1", "--dataset=small"}), 0);
  EXPECT_TRUE(classified().calibrated());
  EXPECT_TRUE(absl::StrContains(out(), "By cnn@2, calibrated at temperature 1.500\n")) << out();
  EXPECT_EQ(Run({"classify", "cnn@2", "--calibrated", png}), 0);
  EXPECT_TRUE(classified().calibrated());
}

TEST_F(CommandLineTest, ShowTellsCalibrationOrThatItWasNotRecorded) {
  v1::TrainingJob job = MakeCompletedJob();
  server_.handlers.get_job = [&job](const auto&, v1::TrainingJob* response) {
    *response = job;
    return grpc::Status::OK;
  };
  server_.Start();
  EXPECT_EQ(Run({"show", "night-1"}), 0);
  EXPECT_TRUE(absl::StrContains(out(), "  calibration    not recorded\n")) << out();
  EXPECT_TRUE(absl::StrContains(out(), "  F1             not recorded\n")) << out();
  EXPECT_FALSE(absl::StrContains(out(), "top-5"));
  job.mutable_result()->set_temperature(1.5);
  job.mutable_result()->set_test_ece(0.0325);
  job.mutable_result()->set_calibrated_test_ece(0.0125);
  job.mutable_result()->set_test_macro_f1(0.76);
  job.mutable_result()->set_test_weighted_f1(0.77);
  job.mutable_result()->set_test_top5_accuracy(0.99);
  EXPECT_EQ(Run({"show", "night-1"}), 0);
  for (const char* words : {"ECE 3.25 %; calibrated, at temperature 1.500, 1.25 %",
                            "macro 76.00 %, weighted 77.00 %", "top-5 accuracy  99.00 %"}) {
    EXPECT_TRUE(absl::StrContains(out(), words)) << words << " in " << out();
  }
  EXPECT_EQ(Run({"show", "night-1"}, "csv"), 0);
  EXPECT_TRUE(absl::StrContains(lines()[0], ",test_ece,calibrated_test_ece,temperature"));
  EXPECT_TRUE(absl::StrContains(lines()[1], ",0.99,0.76,0.77,0.0325,0.0125,1.5")) << lines()[1];
}

TEST_F(CommandLineTest, LargeTestImagesAreFetchedInAnswersOfBoundedSize) {
  ServeClassification();
  std::vector<int> asked;
  server_.handlers.get_images = [&](const v1::GetImagesRequest& request, auto* response) {
    asked.push_back(request.indices_size());
    for (const auto index : request.indices()) response->add_images()->set_index(index);
    for (auto& image : *response->mutable_images()) image.set_data(std::string(4, 'x'));
    // As if each had 1.2 MB.
    response->mutable_image_shape()->set_channels(3);
    response->mutable_image_shape()->set_height(632);
    response->mutable_image_shape()->set_width(632);
    return grpc::Status::OK;
  };
  const std::vector<std::string> arguments = {"classify",       "--model=cnn@2",  "--dataset=small",
                                              "--test-image=3", "--test-image=4", "--test-image=5",
                                              "--test-image=6"};
  EXPECT_EQ(Run(arguments, "json"), 0) << err();
  EXPECT_EQ(asked, std::vector<int>({1, 2, 1}));
  EXPECT_EQ(lines().size(), 4U);
  EXPECT_EQ(classified().raw().pixels().size(), 16U);
}

TEST_F(CommandLineTest, FilesThatAreNoImagesAreNamed) {
  ServeClassification();
  const std::string png = "\x89PNG\r\n\x1a\n";
  const std::string good = WriteFile("good.png", png + "more bytes");
  EXPECT_EQ(Run({"classify", "--model=cnn", good}), 0);
  EXPECT_EQ(classified().encoded().files_size(), 1);
  EXPECT_EQ(classified().encoded().inversion(), v1::INVERSION_AUTO);
  EXPECT_EQ(Run({"classify", "--model=cnn", "--invert=no", "--resize=none", "--top-k=2", good}), 0);
  EXPECT_EQ(classified().encoded().inversion(), v1::INVERSION_NO);
  EXPECT_EQ(classified().encoded().resize(), v1::RESIZE_NONE);
  EXPECT_EQ(classified().top_k(), 2);
  for (const auto& [name, word] : std::vector<std::pair<std::string, std::string>>{
           {WriteFile("text.png", "hello"), "no PNG, JPEG or WebP file"},
           {WriteFile("empty.png", ""), "empty"},
           {WriteFile("large.png", png + std::string(10 << 20, 'x')), "10 MiB"},
           {server_.folder() + "/none.png", "No such file"},
           {WriteFile("cut.png", png), "truncated"}}) {
    // The others are classified nevertheless.
    EXPECT_EQ(Run({"classify", "--model=cnn", name, good}), 1);
    EXPECT_TRUE(absl::StrContains(err(), name)) << err();
    EXPECT_TRUE(absl::StrContains(err(), word)) << err();
    EXPECT_FALSE(absl::StrContains(err(), good)) << err();
    EXPECT_TRUE(absl::StrContains(out(), good)) << out();
    EXPECT_FALSE(absl::StrContains(out(), name)) << out();
  }
}

TEST_F(CommandLineTest, FoldersAreSearchedForImages) {
  ServeClassification();
  const std::string png = "\x89PNG\r\n\x1a\n and more";
  const std::string folder = server_.folder() + "/pictures";
  std::filesystem::create_directories(folder + "/inner");
  for (int i = 0; i < 70; ++i) WriteFile(absl::StrCat("pictures/", 100 + i, ".png"), png);
  const std::string inner = WriteFile("pictures/inner/a.png", png);
  WriteFile("pictures/.hidden", "hello");
  const std::string text = WriteFile("pictures/text.txt", "hello");
  const std::string cut = WriteFile("pictures/150.png", png.substr(0, 8));
  std::filesystem::create_symlink("100.png", folder + "/link.png");
  std::filesystem::create_symlink("..", folder + "/circle");
  std::filesystem::create_symlink("nowhere", folder + "/dangling.png");
  EXPECT_EQ(Run({"classify", "--model=cnn", folder}), 1);
  // In the order of their names, and once each.
  std::vector<std::string> images;
  for (const std::string& line : lines()) {
    const auto at = line.find(folder);
    if (at != std::string::npos) images.push_back(line.substr(at));
  }
  EXPECT_EQ(images.size(), 71U);
  EXPECT_TRUE(std::is_sorted(images.begin(), images.end()));
  EXPECT_EQ(images.front(), folder + "/100.png");
  EXPECT_EQ(images[69], inner);
  EXPECT_EQ(images.back(), folder + "/link.png");
  EXPECT_TRUE(absl::StrContains(out(), "71 images in ")) << out();
  EXPECT_TRUE(absl::StrContains(out(), "Trouser  71  100.0 %")) << out();
  for (const std::string& skipped : {text, cut, folder + "/dangling.png"}) {
    EXPECT_TRUE(absl::StrContains(err(), skipped + ": ")) << err();
  }
  EXPECT_TRUE(absl::StrContains(err(), "3 files were skipped.")) << err();
}

TEST_F(CommandLineTest, AnEmptyFolderIsNoMistake) {
  ServeClassification();
  EXPECT_EQ(Run({"classify", "--model=cnn", server_.folder() + "/"}),
            1);  // The socket is no image.
  std::filesystem::create_directory(server_.folder() + "/none");
  EXPECT_EQ(Run({"classify", "--model=cnn", server_.folder() + "/none"}), 0);
  EXPECT_EQ(out() + err(), "");
}

TEST_F(CommandLineTest, JsonNamesTheImageOfEachLine) {
  ServeClassification();
  const std::string png = "\x89PNG\r\n\x1a\n and more";
  const std::string odd = WriteFile("odd \"name\" \xff.png", png);
  EXPECT_EQ(Run({"classify", "--model=cnn", WriteFile("a.png", png), odd}, "json"), 0);
  ASSERT_EQ(lines().size(), 2U);
  EXPECT_TRUE(absl::StartsWith(lines()[0], "{\"image\":\"" + server_.folder() + "/a.png\","));
  EXPECT_TRUE(absl::StrContains(lines()[1], R"(/odd \"name\" \\xff.png","model_version":)"))
      << lines()[1];
}

TEST_F(CommandLineTest, AMistakeThatIsNoFilesEndsIt) {
  ServeClassification();
  server_.Stop();
  server_.handlers.classify = [](const auto&, auto*) {
    return ErrorWithReason(grpc::StatusCode::NOT_FOUND, "MODEL_NOT_FOUND", "There is no model.");
  };
  server_.Start();
  const std::string png = "\x89PNG\r\n\x1a\n and more";
  EXPECT_EQ(Run({"classify", "--model=cnn", WriteFile("a.png", png)}), 102);
  EXPECT_EQ(out(), "");
}

TEST_F(CommandLineTest, OneImageMayBePipedIn) {
  ServeClassification();
  std::istringstream piped("\x89PNG\r\n\x1a\n and more");
  std::streambuf* const before = std::cin.rdbuf(piped.rdbuf());
  EXPECT_EQ(Run({"classify", "--model=cnn", "--stdin"}), 0);
  EXPECT_EQ(classified().encoded().files(0), piped.str());
  EXPECT_TRUE(absl::StrContains(out(), "standard input")) << out();
  piped.str("hello");
  piped.clear();
  std::cin.clear();
  EXPECT_EQ(Run({"classify", "--model=cnn", "--stdin"}), 1);
  EXPECT_EQ(err(), "atelier: standard input: It is no PNG, JPEG or WebP file.\n");
  std::cin.rdbuf(before);
  std::cin.clear();
  EXPECT_EQ(Run({"classify", "--model=cnn", "--stdin", "a.png"}), 1);
  EXPECT_TRUE(absl::StrContains(err(), "one of the three")) << err();
}

TEST_F(CommandLineTest, AliasResolvesTheVersionItIsGiven) {
  v1::SetAliasRequest sent;
  server_.handlers.get_model = [](const auto& request, v1::Model* model) {
    model->set_name(request.name());
    model->add_versions()->set_version(4);
    auto* const alias = model->add_aliases();
    alias->set_alias("latest");
    alias->set_version(4);
    return grpc::Status::OK;
  };
  server_.handlers.set_alias = [&sent](const auto& request, v1::Model*) {
    sent = request;
    return grpc::Status::OK;
  };
  server_.Start();
  EXPECT_EQ(Run({"alias", "cnn@latest", "production"}), 0);
  EXPECT_EQ(sent.version(), 4);
  EXPECT_EQ(out(), "cnn@production is now version 4.\n");
  EXPECT_EQ(Run({"alias", "cnn@9", "production"}), 102);
  EXPECT_EQ(Run({"alias", "cnn", "production"}), 1);
  EXPECT_EQ(Run({"alias", "cnn", "production", "--remove"}), 0);
  EXPECT_EQ(sent.version(), 0);
}

TEST_F(CommandLineTest, AnAliasMovesToOtherClassesOnlyByForce) {
  server_.handlers.get_model = [](const auto& request, v1::Model* model) {
    model->set_name(request.name());
    model->add_versions()->set_version(6);
    return grpc::Status::OK;
  };
  server_.handlers.set_alias = [](const v1::SetAliasRequest& request, v1::Model*) {
    if (request.force()) return grpc::Status::OK;
    return ErrorWithReason(grpc::StatusCode::FAILED_PRECONDITION, "OTHER_CLASSES",
                           "Version 6 has other classes.");
  };
  server_.Start();
  EXPECT_EQ(Run({"alias", "cnn@6", "production"}), 1);
  EXPECT_EQ(out(), "");
  EXPECT_EQ(err(), "atelier: Version 6 has other classes. --force moves the alias anyway.\n");
  EXPECT_EQ(Run({"alias", "cnn@6", "production", "--force"}), 0) << err();
  EXPECT_EQ(out(), "cnn@production is now version 6.\n");
  EXPECT_EQ(Run({"alias", "cnn", "production", "--remove", "--force"}), 1);
}

TEST_F(CommandLineTest, AVersionIsFoundOnEveryPage) {
  server_.handlers.get_model = [](const v1::GetModelRequest& request, v1::Model* model) {
    model->set_name(request.name());
    const bool first = request.page_token().empty();
    model->add_versions()->set_version(first ? 9 : 2);
    if (first) model->set_next_page_token("older");
    return grpc::Status::OK;
  };
  server_.Start();
  EXPECT_EQ(Run({"models", "cnn"}, "csv"), 0);
  EXPECT_EQ(lines().size(), 3U);
  EXPECT_EQ(Run({"models", "cnn@2"}, "json"), 0) << err();
}

TEST_F(CommandLineTest, DeleteTakesAVersionByItsNumberAlone) {
  std::vector<std::string> deleted;
  server_.handlers.delete_model = [&deleted](const v1::DeleteModelRequest& request, auto*) {
    deleted.push_back(request.name());
    EXPECT_FALSE(request.force());
    return grpc::Status::OK;
  };
  server_.Start();
  EXPECT_EQ(Run({"delete", "cnn@2"}), 0);
  EXPECT_EQ(out(), "Deleted cnn@2.\n");
  EXPECT_EQ(Run({"delete", "models/cnn/versions/3"}), 0);
  for (const char* const name : {"cnn@latest", "cnn@-1"}) {
    EXPECT_EQ(Run({"delete", name}), 1);
    EXPECT_TRUE(absl::StrContains(err(), "NAME@NUMBER")) << err();
  }
  EXPECT_EQ(deleted, (std::vector<std::string>{"models/cnn/versions/2", "models/cnn/versions/3"}));
}

// A server with the models `large` (three versions, one of them production) and `small` (one).
class DeleteModelTest : public CommandLineTest {
 protected:
  DeleteModelTest() {
    server_.handlers.delete_job = [](const auto&, auto*) {
      return ErrorWithReason(grpc::StatusCode::NOT_FOUND, "JOB_NOT_FOUND", "There is no job.");
    };
    server_.handlers.get_experiment = [](const auto&, auto*) {
      return ErrorWithReason(grpc::StatusCode::NOT_FOUND, "EXPERIMENT_NOT_FOUND", "None.");
    };
    server_.handlers.get_model = [](const v1::GetModelRequest& request, v1::Model* model) {
      const bool large = request.name() == "models/large";
      if (!large && request.name() != "models/small") {
        return ErrorWithReason(grpc::StatusCode::NOT_FOUND, "MODEL_NOT_FOUND", "No model.");
      }
      model->set_name(request.name());
      model->set_version_count(large ? 3 : 1);
      model->add_aliases()->set_alias("latest");
      if (large) model->add_aliases()->set_alias("production");
      return grpc::Status::OK;
    };
    server_.handlers.delete_model = [this](const v1::DeleteModelRequest& request, auto*) {
      deleted_.push_back(absl::StrCat(request.name(), request.force() ? " by force" : ""));
      return grpc::Status::OK;
    };
    server_.Start();
  }

  std::vector<std::string> deleted_;
};

TEST_F(DeleteModelTest, SeveralVersionsAndAliasesWantForce) {
  for (const char* const name : {"large", "models/large"}) {
    EXPECT_EQ(Run({"delete", name}), 1);
    EXPECT_TRUE(absl::StrContains(
        err(), "3 versions and the alias production. Delete all of it with --force"))
        << err();
  }
  EXPECT_TRUE(deleted_.empty());
  EXPECT_EQ(Run({"delete", "large", "--force"}), 0) << err();
  EXPECT_EQ(out(), "Deleted large with 3 versions.\n");
  EXPECT_EQ(deleted_, std::vector<std::string>{"models/large by force"});
}

TEST_F(DeleteModelTest, OneVersionThatNothingNamesGoesAtOnce) {
  EXPECT_EQ(Run({"delete", "small"}), 0) << err();
  EXPECT_EQ(out(), "Deleted small with 1 version.\n");
  EXPECT_EQ(Run({"delete", "small@1", "--force"}), 0) << err();
  EXPECT_EQ(deleted_,
            (std::vector<std::string>{"models/small", "models/small/versions/1 by force"}));
}

TEST_F(DeleteModelTest, ANameThatNothingHasIsNoJob) {
  EXPECT_EQ(Run({"delete", "none"}), 102);
  EXPECT_EQ(err(), "atelier: There is no job. `atelier jobs` lists the jobs.\n");
  EXPECT_EQ(Run({"delete", "jobs/large", "--force"}), 102);
  EXPECT_TRUE(deleted_.empty());
}

// A job and an experiment of three runs, one of which is that job and one of which waits.
TEST_F(CommandLineTest, CompareCountsATrainingOnce) {
  server_.handlers.get_job = [](const v1::GetJobRequest& request, v1::TrainingJob* job) {
    if (request.name() != "jobs/night-1") {
      return ErrorWithReason(grpc::StatusCode::NOT_FOUND, "JOB_NOT_FOUND", "There is no job.");
    }
    *job = MakeCompletedJob();
    return grpc::Status::OK;
  };
  server_.handlers.get_experiment = [](const v1::GetExperimentRequest& request,
                                       v1::Experiment* experiment) {
    if (request.name() != "experiments/study") {
      return ErrorWithReason(grpc::StatusCode::NOT_FOUND, "EXPERIMENT_NOT_FOUND", "None.");
    }
    experiment->set_name(request.name());
    *experiment->add_configurations() = MakeCompletedJob().spec();
    for (int seed = 7; seed < 10; ++seed) {
      auto* const run = experiment->add_runs();
      run->set_seed(seed);
      run->set_state(seed == 7 ? v1::RUN_STATE_COMPLETED : v1::RUN_STATE_WAITING);
      if (seed == 7) run->set_job("jobs/night-1");
      if (seed == 7) *run->mutable_result() = MakeCompletedJob().result();
    }
    return grpc::Status::OK;
  };
  server_.Start();
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"compare", "night-1", "jobs/night-1"}, "1 of 1  "},
      {{"compare", "night-1", "gone", "night-1", "jobs/gone"}, "0 of 1, 1 deleted"},
      {{"compare", "study", "night-1"}, "1 of 3"},
      {{"compare", "night-1", "study", "experiments/study"}, "1 of 3"}};
  for (const auto& [words, done] : cases) {
    EXPECT_EQ(Run(words), 0) << err();
    EXPECT_FALSE(absl::StrContains(out(), "±")) << out();
    EXPECT_TRUE(absl::StrContains(out(), done)) << out();
  }
}

TEST_F(CommandLineTest, LogsPassThroughUnchangedToFiles) {
  server_.handlers.stream_logs = [](auto*, const auto&, auto* writer) {
    v1::LogChunk chunk;
    chunk.set_text("epoch 1\n\x1b[31m");
    writer->Write(chunk);
    return grpc::Status::OK;
  };
  server_.Start();
  EXPECT_EQ(Run({"logs", "night-1"}), 0);
  EXPECT_EQ(out(), "epoch 1\n\x1b[31m");
}

bool HasUtf8(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x80; });
}

TEST_F(CommandLineTest, WhereUtf8CannotBeShownTextIsAsciiAndDataIsNot) {
  ServeAJob();
  server_.handlers.list_jobs = [](const auto&, v1::ListJobsResponse* response) {
    *response->add_jobs() = MakeCompletedJob();
    response->mutable_jobs(0)->mutable_spec()->set_dataset("größe");
    *response->add_jobs() = MakeJob();
    return grpc::Status::OK;
  };
  server_.handlers.stream_logs = [](auto*, const auto&, auto* writer) {
    v1::LogChunk chunk;
    chunk.set_text("größe\n");
    writer->Write(chunk);
    return grpc::Status::OK;
  };
  EXPECT_EQ(Run({"train", "--preset=cnn-3"}), 0);
  EXPECT_TRUE(HasUtf8(out()));
  utf8_ = false;
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"train", "--preset=cnn-3"}, {"jobs"}, {"compare", "--help"}, {"nonsensé"}}) {
    Run(words);
    EXPECT_NE(out() + err(), "");
    EXPECT_FALSE(HasUtf8(out() + err())) << out() << err();
  }
  EXPECT_EQ(Run({"train", "--preset=cnn-3"}), 0);
  EXPECT_TRUE(absl::StrContains(out(), "+ completed after 1m 12s")) << out();
  for (const char* const format : {"json", "csv"}) {
    EXPECT_EQ(Run({"jobs"}, format), 0);
    EXPECT_TRUE(absl::StrContains(out(), "größe")) << out();
  }
  EXPECT_EQ(Run({"logs", "night-1"}), 0);
  EXPECT_EQ(out(), "größe\n");
}

TEST_F(CommandLineTest, HealthAsksTheStandardService) {
  server_.Start();
  EXPECT_EQ(Run({"health"}), 0);
  EXPECT_EQ(out(), "serving\n");
  EXPECT_EQ(Run({"health"}, "csv"), 0);
  EXPECT_EQ(out(), "status\nSERVING\n");
  EXPECT_EQ(Run({"health", "no.such.Service"}), 1);
}

// A model whose archive is "abc", said to have a checksum.
class DownloadTest : public CommandLineTest {
 protected:
  void Serve(const std::string& sha256, std::int64_t total = 3) {
    server_.handlers.download_model = [=](auto*, const auto&, auto* writer) {
      v1::DownloadChunk chunk;
      chunk.set_data("ab");
      chunk.set_total_bytes(total);
      chunk.set_sha256(sha256);
      chunk.set_model_version("models/cnn/versions/2");
      writer->Write(chunk);
      chunk.Clear();
      chunk.set_data("c");
      writer->Write(chunk);
      return grpc::Status::OK;
    };
    server_.Start();
    target_ = server_.folder() + "/files/model.tar.gz";
    std::filesystem::create_directory(server_.folder() + "/files");
  }

  // Names of the files there.
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(server_.folder() + "/files")) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }

  std::string target_;
};

TEST_F(DownloadTest, WritesTheFileItNames) {
  Serve(kAbcSha256);
  EXPECT_EQ(Run({"download", "cnn", "-o", target_}), 0) << err();
  EXPECT_EQ(ReadFile(target_), "abc");
  EXPECT_EQ(files(), std::vector<std::string>{"model.tar.gz"});
}

TEST_F(DownloadTest, NamesTheFileAfterTheVersionInAFolder) {
  Serve(kAbcSha256);
  EXPECT_EQ(Run({"download", "cnn", "-o", server_.folder() + "/files"}), 0) << err();
  EXPECT_EQ(files(), std::vector<std::string>{"cnn-v2.tar.gz"});
}

TEST_F(DownloadTest, AWrongChecksumLeavesNothing) {
  Serve(std::string(64, '0'));
  EXPECT_EQ(Run({"download", "cnn", "-o", target_}), 1);
  EXPECT_TRUE(absl::StrContains(err(), "SHA-256"));
  EXPECT_TRUE(files().empty());
}

TEST_F(DownloadTest, AMissingPieceLeavesNothing) {
  Serve(kAbcSha256, 4);
  EXPECT_EQ(Run({"download", "cnn", "-o", target_}), 1);
  EXPECT_TRUE(absl::StrContains(err(), "3 of 4 bytes"));
  EXPECT_TRUE(files().empty());
}

TEST_F(DownloadTest, AFileIsReplacedOnlyByForceAndOnlyByAWholeOne) {
  Serve(kAbcSha256);
  std::ofstream(target_) << "mine";
  EXPECT_EQ(Run({"download", "cnn", "-o", target_}), 1);
  EXPECT_TRUE(absl::StrContains(err(), "--force"));
  EXPECT_EQ(ReadFile(target_), "mine");
  EXPECT_EQ(Run({"download", "cnn", "-o", target_, "--force"}), 0);
  EXPECT_EQ(ReadFile(target_), "abc");
}

TEST_F(DownloadTest, OnlyAnOrdinaryFileIsReplaced) {
  Serve(kAbcSha256);
  ASSERT_EQ(mkfifo(target_.c_str(), 0600), 0);
  EXPECT_EQ(Run({"download", "cnn", "-o", target_, "--force"}), 1);
  EXPECT_TRUE(absl::StrContains(err(), "not a regular file")) << err();
  EXPECT_TRUE(std::filesystem::is_fifo(target_));
}

TEST_F(DownloadTest, AnInterruptionLeavesNothing) {
  Serve(kAbcSha256);
  interrupted_ = true;
  EXPECT_EQ(Run({"download", "cnn", "-o", target_}), 130);
  EXPECT_TRUE(files().empty());
}

// A job's log that the server calls `name`.
class TensorboardTest : public DownloadTest {
 protected:
  void ServeLog(const std::string& name) {
    server_.handlers.download_tensorboard = [=](auto*, const auto& request, auto* writer) {
      EXPECT_EQ(request.name(), "jobs/night-1");
      v1::DownloadChunk chunk;
      chunk.set_data("abc");
      chunk.set_total_bytes(3);
      chunk.set_sha256(kAbcSha256);
      chunk.set_file_name(name);
      writer->Write(chunk);
      return grpc::Status::OK;
    };
    Serve(kAbcSha256);
  }

  std::string Folder() const { return server_.folder() + "/files"; }
};

TEST_F(TensorboardTest, WritesALogIntoAFolderOfTheJobs) {
  ServeLog("events.out.tfevents.1.atelier");
  const std::string path = Folder() + "/runs/night-1/events.out.tfevents.1.atelier";
  EXPECT_EQ(Run({"download", "night-1", "--tensorboard", "-o", Folder() + "/runs"}), 0) << err();
  EXPECT_EQ(ReadFile(path), "abc");
  EXPECT_TRUE(absl::StrContains(out(), path)) << out();
  EXPECT_EQ(Run({"download", "jobs/night-1", "--tensorboard", "-o", Folder() + "/runs"}), 1);
  EXPECT_TRUE(absl::StrContains(err(), "--force")) << err();
}

TEST_F(TensorboardTest, TakesNoNameThatLeadsElsewhere) {
  for (const char* name : {"../evil", "/tmp/evil", "", ".hidden", "a\x1b[31m"}) {
    ServeLog(name);
    EXPECT_EQ(Run({"download", "night-1", "--tensorboard", "-o", Folder()}), 1);
    EXPECT_TRUE(absl::StrContains(err(), "not a plain file name")) << err();
    EXPECT_TRUE(files().empty()) << name;
    server_.Stop();
    std::filesystem::remove_all(Folder());
  }
}

TEST_F(TensorboardTest, AFileInTheFoldersPlaceIsNamed) {
  ServeLog("events.out.tfevents.1.atelier");
  std::ofstream(target_) << "mine";
  EXPECT_EQ(Run({"download", "night-1", "--tensorboard", "-o", target_}), 1);
  EXPECT_TRUE(absl::StrContains(err(), target_)) << err();
  EXPECT_EQ(ReadFile(target_), "mine");
}

TEST_F(TensorboardTest, IsNoFormatOfAModel) {
  server_.Start();
  EXPECT_EQ(Run({"download", "night-1", "--tensorboard", "--format=onnx"}), 1);
}

TEST_F(DownloadTest, AFolderThatCannotBeWrittenIsNamed) {
  Serve(kAbcSha256);
  EXPECT_EQ(Run({"download", "cnn", "-o", "/nowhere/model.tar.gz"}), 1);
  EXPECT_TRUE(absl::StrContains(err(), "/nowhere/model.tar.gz: No such file")) << err();
}

TEST_F(CommandLineTest, DatasetsTellsWhatLooksWrongInThem) {
  server_.handlers.list_datasets = [](const auto&, v1::ListDatasetsResponse* response) {
    v1::Dataset* const dataset = response->add_datasets();
    dataset->set_name("datasets/letters");
    dataset->set_training_images(10);
    dataset->add_class_names("a");
    dataset->add_warnings("2 classes are named 'a'.");
    return grpc::Status::OK;
  };
  server_.Start();
  EXPECT_EQ(Run({"datasets"}), 0) << err();
  EXPECT_TRUE(absl::StrContains(out(), "\nletters\n  2 classes are named 'a'.\n")) << out();
  EXPECT_EQ(Run({"datasets"}, "csv"), 0) << err();
  EXPECT_TRUE(absl::StrContains(out(), ",2 classes are named 'a'.,")) << out();
}

TEST_F(CommandLineTest, DatasetsFetchesAllPages) {
  server_.handlers.list_datasets = [](const v1::ListDatasetsRequest& request, auto* response) {
    const bool first = request.page_token().empty();
    response->add_datasets()->set_name(first ? "datasets/first" : "datasets/second");
    if (first) response->set_next_page_token("next");
    return grpc::Status::OK;
  };
  server_.Start();
  EXPECT_EQ(Run({"datasets"}, "json"), 0) << err();
  ASSERT_EQ(lines().size(), 2U) << out();
  EXPECT_TRUE(absl::StrContains(lines()[1], "datasets/second")) << out();
}

}  // namespace
}  // namespace atelier::client
