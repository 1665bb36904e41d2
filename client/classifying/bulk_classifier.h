// Has many image files classified: in batches, several of them in flight, answers in the order of
// the files. What is no image, or what the server cannot decode, is reported and passed by. Memory
// is bounded, however many files there are. Used by one thread.
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
    // Asked between batches; true ends the run.
    std::function<bool()> interrupted = [] { return false; };
  };

  // One file, and the answer for it alone, or why there is none.
  struct Answer {
    std::string path;
    absl::StatusOr<v1::ClassifyResponse> response;
  };
  // Called on the thread that runs it, for each batch.
  using Listener = std::function<void(std::vector<Answer> answers)>;

  // `connection` must outlive it.
  BulkClassifier(Connection* connection, Options options)
      : connection_(connection), options_(std::move(options)) {}

  // Until all are answered or it is interrupted, which is no error. An error that is not one file's
  // ends it, after the answers of the files before.
  absl::Status Run(ImageFiles* files, const Listener& listener);

 private:
  struct Batch;

  // Reads files until the batch is full; nothing in it after the last.
  std::unique_ptr<Batch> Fill(ImageFiles* files);
  // Has a batch classified; on a thread of its own.
  absl::Status Ask(Batch* batch) const;
  // One request for the files of these places; whether it failed because of them.
  absl::Status AskFor(Batch* batch, const std::vector<std::size_t>& places,
                      bool* files_fault) const;

  Connection* const connection_;
  const Options options_;
  // Read, but for the next batch: the path, and what is in the file.
  std::optional<std::pair<std::string, absl::StatusOr<std::string>>> held_;
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CLASSIFYING_BULK_CLASSIFIER_H_
