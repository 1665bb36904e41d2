// Classifies many image files in batches, several of them in flight; the results come in the order
// of the files. Files that are not images or cannot be decoded are reported and skipped. Memory is
// bounded, however many files there are. Used by one thread.
#ifndef ATELIER_CLIENT_CLASSIFYING_BULK_CLASSIFIER_H_
#define ATELIER_CLIENT_CLASSIFYING_BULK_CLASSIFIER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/calls/connection.h"
#include "client/files/image_files.h"

namespace atelier::client {

class BulkClassifier {
 public:
  struct Options {
    // Everything but the files.
    v1::ClassifyRequest request;
    // Of a batch.
    std::size_t most_files = 32;
    std::size_t most_bytes = std::size_t{4} << 20;
    std::size_t batches_in_flight = 4;
    // Called between batches; true ends the run.
    std::function<bool()> interrupted = [] { return false; };
  };

  // One file with its response, or its error.
  struct Answer {
    std::string path;
    absl::StatusOr<v1::ClassifyResponse> response;
  };
  // Called on the thread that runs it, for each batch.
  using Listener = std::function<void(std::vector<Answer> answers)>;

  // `connection` must outlive it.
  BulkClassifier(Connection* connection, Options options)
      : connection_(connection), options_(std::move(options)) {}

  // Runs until all files are classified, or until it is interrupted, which is OK. An error that is
  // not specific to a file ends the run, after the results of the files before.
  absl::Status Run(ImageFiles* files, const Listener& listener);

 private:
  struct Batch;

  // Reads files until the batch is full; empty after the last file.
  std::unique_ptr<Batch> Fill(ImageFiles* files);
  // Classifies a batch; runs on its own thread.
  absl::Status Ask(Batch* batch) const;
  // Sends one request for the files at these places; sets whether it failed because of a file.
  absl::Status AskFor(Batch* batch, const std::vector<std::size_t>& places,
                      bool* files_fault) const;

  Connection* const connection_;
  const Options options_;
  // A file that was read but belongs to the next batch: its path and contents.
  std::optional<std::pair<std::string, absl::StatusOr<std::string>>> held_;
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CLASSIFYING_BULK_CLASSIFIER_H_
