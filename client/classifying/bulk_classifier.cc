#include "client/classifying/bulk_classifier.h"

#include <pthread.h>

#include <deque>
#include <future>
#include <numeric>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/terminal/display_text.h"

namespace atelier::client {
namespace {

constexpr int kTriesWhenFull = 20;
constexpr absl::Duration kPauseWhenFull = absl::Milliseconds(50);
// A server that is being restarted is waited for once.
constexpr int kRepeats = 1;

}  // namespace

struct BulkClassifier::Batch {
  // In the order of the files.
  std::vector<Answer> answers;
  // As long: the bytes of those that are to be sent, nothing for the others.
  std::vector<std::string> bytes;
  std::future<absl::Status> asked;
};

absl::Status BulkClassifier::Run(ImageFiles* files, const Listener& listener) {
  std::deque<std::unique_ptr<Batch>> flying;
  bool more = true;
  while (!options_.interrupted()) {
    while (more && flying.size() < options_.batches_in_flight) {
      auto batch = Fill(files);
      more = !batch->answers.empty();
      if (!more) break;
      batch->asked = std::async(std::launch::async, [this, batch = batch.get()] {
        pthread_setname_np(pthread_self(), "classify");
        return Ask(batch);
      });
      flying.push_back(std::move(batch));
    }
    if (flying.empty()) break;
    const absl::Status asked = flying.front()->asked.get();
    if (!asked.ok()) return asked;
    listener(std::move(flying.front()->answers));
    flying.pop_front();
  }
  return absl::OkStatus();
}

std::unique_ptr<BulkClassifier::Batch> BulkClassifier::Fill(ImageFiles* files) {
  auto batch = std::make_unique<Batch>();
  std::size_t size = 0;
  while (batch->answers.size() < options_.most_files) {
    if (!held_.has_value()) {
      auto file = files->Next();
      if (!file.has_value()) break;
      auto bytes =
          file->status.ok() ? ReadImageFile(file->path) : absl::StatusOr<std::string>(file->status);
      held_ = {std::move(file->path), std::move(bytes)};
    }
    const std::size_t more = held_->second.ok() ? held_->second->size() : 0;
    if (!batch->answers.empty() && size + more > options_.most_bytes) break;
    size += more;
    absl::StatusOr<v1::ClassifyResponse> unread = v1::ClassifyResponse();
    if (!held_->second.ok()) unread = held_->second.status();
    batch->answers.push_back({std::move(held_->first), std::move(unread)});
    batch->bytes.push_back(held_->second.ok() ? *std::move(held_->second) : "");
    held_.reset();
  }
  return batch;
}

absl::Status BulkClassifier::Ask(Batch* batch) const {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < batch->bytes.size(); ++i) {
    if (!batch->bytes[i].empty()) places.push_back(i);
  }
  if (places.empty()) return absl::OkStatus();
  bool files_fault = false;
  const absl::Status status = AskFor(batch, places, &files_fault);
  if (!files_fault) return status;
  // One bad file fails its whole request, and several may be too large together: each for itself.
  for (const std::size_t place : places) {
    const absl::Status alone = places.size() == 1 ? status : AskFor(batch, {place}, &files_fault);
    if (alone.ok()) continue;
    if (!files_fault) return alone;
    batch->answers[place].response = alone;
  }
  return absl::OkStatus();
}

absl::Status BulkClassifier::AskFor(Batch* batch, const std::vector<std::size_t>& places,
                                    bool* files_fault) const {
  v1::ClassifyRequest request = options_.request;
  for (const std::size_t place : places) request.mutable_encoded()->add_files(batch->bytes[place]);
  *files_fault = false;
  const FieldNamer name_field = [&](absl::string_view field) {
    if (!absl::StartsWith(field, "encoded.files")) return FlagOf(field);
    *files_fault = true;
    return EscapeControls(batch->answers[places.front()].path);
  };
  const CallOptions options{.repeats = kRepeats, .name_field = name_field};
  auto response = connection_->Call(&InferenceService::Classify, request, options);
  for (int i = 0; i < kTriesWhenFull && absl::IsResourceExhausted(response.status()); ++i) {
    absl::SleepFor(kPauseWhenFull);
    response = connection_->Call(&InferenceService::Classify, request, options);
  }
  if (!response.ok()) return response.status();
  if (response->classifications_size() != static_cast<int>(places.size())) {
    return absl::InternalError(absl::StrCat("The server answered for ",
                                            response->classifications_size(), " images instead of ",
                                            places.size(), "."));
  }
  google::protobuf::RepeatedPtrField<v1::Classification> classifications;
  classifications.Swap(response->mutable_classifications());
  for (std::size_t i = 0; i < places.size(); ++i) {
    v1::ClassifyResponse own = *response;
    own.add_classifications()->Swap(&classifications[static_cast<int>(i)]);
    batch->answers[places[i]].response = std::move(own);
  }
  return absl::OkStatus();
}

}  // namespace atelier::client
