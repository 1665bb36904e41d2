// A training that is over in a blink: the first images of Fashion-MNIST as a data set of its own,
// and an assignment to train `dense` on it.
#ifndef ATELIER_TESTS_UNIT_WORKER_SMALL_JOB_H_
#define ATELIER_TESTS_UNIT_WORKER_SMALL_JOB_H_

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "atelier/worker/v1/worker_service.pb.h"
#include "gtest/gtest.h"
#include "models/data/dataset.h"

namespace atelier::worker {

inline void PutBigEndian(std::ofstream& file, std::int64_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) file.put(static_cast<char>(number >> shift));
}

inline void WriteIdx(const std::string& stem, const models::LabeledImages& images,
                     std::int64_t count) {
  std::ofstream pixels(stem + "-images-idx3-ubyte", std::ios::binary);
  for (std::int64_t word : {std::int64_t{0x803}, count, std::int64_t{28}, std::int64_t{28}}) {
    PutBigEndian(pixels, word);
  }
  pixels.write(reinterpret_cast<const char*>(images.pixels.data()), count * 28 * 28);
  std::ofstream labels(stem + "-labels-idx1-ubyte", std::ios::binary);
  for (std::int64_t word : {std::int64_t{0x801}, count}) PutBigEndian(labels, word);
  for (std::int64_t i = 0; i < count; ++i) {
    labels.put(static_cast<char>(images.labels[static_cast<std::size_t>(i)]));
  }
}

class SmallJob {
 public:
  static constexpr int kTrainingImages = 1000;
  static constexpr int kTestImages = 200;

  SmallJob() {
    std::string pattern = ::testing::TempDir() + "/job-XXXXXX";
    dir_ = mkdtemp(pattern.data());
    std::filesystem::create_directory(dataset_dir());
    static const auto* all = new auto(models::Dataset::Load("/usr/share/datasets/fashion-mnist"));
    EXPECT_TRUE(all->ok()) << all->status();
    WriteIdx(dataset_dir() + "/train", (**all)->training(), kTrainingImages);
    WriteIdx(dataset_dir() + "/t10k", (**all)->test(), kTestImages);
    std::ofstream(dataset_dir() + "/class_names.json")
        << R"(["T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
               "Bag", "Ankle boot"])";
  }
  ~SmallJob() { std::filesystem::remove_all(dir_); }
  SmallJob(const SmallJob&) = delete;
  SmallJob& operator=(const SmallJob&) = delete;

  std::string dataset_dir() const { return dir_ + "/data"; }
  std::string attempt_dir(int attempt) const { return dir_ + "/" + std::to_string(attempt); }

  // Of an attempt; what the attempts before left behind is there to go on from.
  v1::Assignment Assignment(int attempt = 1) const {
    v1::Assignment assignment;
    atelier::v1::TrainingSpec* spec = assignment.mutable_spec();
    spec->set_preset("dense");
    spec->set_dataset("small");
    spec->set_epochs(3);
    spec->set_batch_size(50);
    spec->set_learning_rate(0.001);
    spec->set_dropout(0.3);
    spec->set_patience(5);
    spec->set_seed(7);
    spec->set_precision(atelier::v1::PRECISION_FLOAT32);
    spec->set_shards(2);
    spec->set_cores(1);
    spec->set_memory_bytes(std::int64_t{2} << 30);
    spec->set_validation_fraction(0.1);
    assignment.set_dataset_dir(dataset_dir());
    assignment.set_attempt_dir(attempt_dir(attempt));
    while (--attempt > 0) assignment.add_earlier_attempt_dirs(attempt_dir(attempt));
    assignment.set_job_name("jobs/small");
    return assignment;
  }

 private:
  std::string dir_;
};

}  // namespace atelier::worker

#endif  // ATELIER_TESTS_UNIT_WORKER_SMALL_JOB_H_
