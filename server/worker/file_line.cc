#include "server/worker/file_line.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "google/protobuf/util/time_util.h"
#include "grpcpp/grpcpp.h"
#include "models/files/file_digest.h"
#include "models/files/file_io.h"
#include "models/files/sha256.h"
#include "server/worker/steady_now.h"
#include "spdlog/spdlog.h"

namespace atelier::worker {
namespace {

constexpr absl::Duration kLook = absl::Milliseconds(100);
constexpr absl::Duration kFirstBackoff = absl::Milliseconds(50);
constexpr absl::Duration kLongestBackoff = absl::Seconds(1);
// Of a file that does not arrive whole.
constexpr int kTries = 5;
// Of a call that the server answers INTERNAL: with growing pauses, within about two minutes.
constexpr int kInternalTries = 20;
// Between two lines of the log about a call that goes on to fail.
constexpr absl::Duration kTellInterval = absl::Minutes(1);

absl::Status GivenUp() { return absl::CancelledError("given up"); }

absl::Status NodeError(absl::string_view doing, const std::string& what) {
  return absl::UnknownError(absl::StrCat(doing, " ", what, " failed: ", std::strerror(errno)));
}

// The server or the way to it is to blame, for now.
bool IsPassing(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsCancelled(status);
}

// After the first, second, … failure (0, 1, …).
absl::Duration PauseOfSeries(int failures) {
  constexpr int kDoublings = 20;
  return kFirstBackoff * (1 << std::min(failures, kDoublings));
}

template <typename Response>
absl::Duration PauseOf(const Response& response) {
  using google::protobuf::util::TimeUtil;
  return absl::Microseconds(TimeUtil::DurationToMicroseconds(response.pause()));
}

absl::StatusOr<std::string> DigestOf(int descriptor, std::int64_t size) {
  models::Sha256 sum;
  std::vector<char> buffer(FileLine::kPiece);
  for (std::int64_t offset = 0; offset < size;) {
    const ssize_t got = pread(descriptor, buffer.data(), buffer.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return NodeError("reading", "a file to be sent");
    sum.Update(buffer.data(), static_cast<std::size_t>(got));
    offset += got;
  }
  return sum.Finish();
}

}  // namespace

FileLine::FileLine(Options options)
    : options_(std::move(options)), stub_(v1::WorkerService::NewStub(options_.channel)) {}

template <typename Request, typename Response>
absl::StatusOr<Response> FileLine::Call(const Request& request, Method<Request, Response> method) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + options_.patience));
  Response response;
  grpc::Status status;
  absl::Notification done;
  (stub_->async()->*method)(&context, &request, &response, [&](grpc::Status ended) {
    status = std::move(ended);
    done.Notify();
  });
  while (!done.WaitForNotificationWithTimeout(kLook)) {
    if (options_.given_up()) context.TryCancel();
  }
  if (status.ok()) return response;
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

template <typename Request, typename Response>
absl::StatusOr<Response> FileLine::Repeat(const Request& request,
                                          Method<Request, Response> method) {
  int internal = 0;
  absl::Duration tell_next;  // By SteadyNow.
  for (int failures = 0; !options_.given_up(); ++failures) {
    auto response = Call(request, method);
    if (response.ok()) return response;
    if (options_.given_up()) break;
    if (const absl::Duration now = SteadyNow(); now >= tell_next) {
      spdlog::warn("a call to the server failed: {}", std::string(response.status().message()));
      tell_next = now + kTellInterval;
    }
    if (absl::IsInternal(response.status())) {
      if (++internal >= kInternalTries) return response;
      PauseAfter(internal);
    } else if (IsPassing(response.status())) {
      Pause(std::min({PauseOfSeries(failures), kLongestBackoff, options_.longest_pause}));
    } else {
      return response;
    }
  }
  return GivenUp();
}

void FileLine::Pause(absl::Duration duration) const {
  for (; duration > absl::ZeroDuration() && !options_.given_up(); duration -= kLook) {
    absl::SleepFor(std::min(duration, kLook));
  }
}

void FileLine::PauseAfter(int failures) const {
  Pause(std::min(PauseOfSeries(failures), options_.longest_pause));
}

absl::StatusOr<v1::ListFilesResponse> FileLine::List(v1::FileKind kind) {
  v1::ListFilesRequest request;
  *request.mutable_worker() = options_.hello;
  request.set_kind(kind);
  return Repeat<v1::ListFilesRequest, v1::ListFilesResponse>(
      request, &v1::WorkerService::Stub::async::ListFiles);
}

absl::StatusOr<v1::Assignment> FileLine::Join() {
  v1::JoinRequest request;
  *request.mutable_worker() = options_.hello;
  return Repeat<v1::JoinRequest, v1::Assignment>(request, &v1::WorkerService::Stub::async::Join);
}

absl::StatusOr<v1::ShareValuesResponse> FileLine::ShareValues(v1::ShareValuesRequest request) {
  *request.mutable_worker() = options_.hello;
  return Repeat<v1::ShareValuesRequest, v1::ShareValuesResponse>(
      request, &v1::WorkerService::Stub::async::ShareValues);
}

absl::StatusOr<v1::ReadFileResponse> FileLine::Read(v1::ReadFileRequest request) {
  *request.mutable_worker() = options_.hello;
  auto response = Repeat<v1::ReadFileRequest, v1::ReadFileResponse>(
      request, &v1::WorkerService::Stub::async::ReadFile);
  if (!response.ok()) return response;
  received_bytes_ += static_cast<std::int64_t>(response->data().size());
  Pause(PauseOf(*response));
  return response;
}

absl::StatusOr<v1::WriteFileResponse> FileLine::Write(v1::WriteFileRequest request) {
  *request.mutable_worker() = options_.hello;
  auto response = Repeat<v1::WriteFileRequest, v1::WriteFileResponse>(
      request, &v1::WorkerService::Stub::async::WriteFile);
  if (!response.ok()) return response;
  sent_bytes_ += static_cast<std::int64_t>(request.data().size());
  Pause(PauseOf(*response));
  return response;
}

absl::Status FileLine::Fetch(const v1::AttemptFile& name, const v1::ListedFile& file,
                             const std::string& path) {
  for (int tries = 0; tries < 2; ++tries) {
    if (auto status = FetchPieces(name, file, path); !status.ok()) return status;
    const auto sum = models::Sha256OfFile(path);
    if (!sum.ok()) return absl::UnknownError(sum.status().message());
    if (*sum == file.sha256()) return absl::OkStatus();
    // What lay there was not the beginning of this file.
    if (unlink(path.c_str()) != 0) return NodeError("removing", path);
  }
  return absl::DataLossError(
      absl::StrCat("what was fetched does not have the SHA-256 ", file.sha256()));
}

absl::Status FileLine::FetchPieces(const v1::AttemptFile& name, const v1::ListedFile& file,
                                   const std::string& path) {
  const int descriptor =
      open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
  if (descriptor < 0) return NodeError("opening", path);
  const absl::Cleanup close_it = [descriptor] { close(descriptor); };
  std::int64_t offset = lseek(descriptor, 0, SEEK_END);
  if (offset > file.size_bytes()) offset = 0;
  if (ftruncate(descriptor, offset) != 0 || lseek(descriptor, offset, SEEK_SET) != offset) {
    return NodeError("preparing", path);
  }
  v1::ReadFileRequest request;
  *request.mutable_file() = name;
  request.set_sha256(file.sha256());
  while (offset < file.size_bytes()) {
    request.set_offset(offset);
    const auto piece = Read(request);
    if (!piece.ok()) return piece.status();
    const std::string& data = piece->data();
    const auto bytes = static_cast<std::int64_t>(data.size());
    if (bytes == 0 || bytes > file.size_bytes() - offset) {
      return absl::FailedPreconditionError("the server's file has another size by now");
    }
    if (!models::WriteAll(descriptor, data)) return NodeError("writing", path);
    offset += bytes;
  }
  return absl::OkStatus();
}

absl::Status FileLine::Send(const v1::AttemptFile& name, int descriptor) {
  struct stat about;
  if (fstat(descriptor, &about) != 0) return NodeError("examining", "a file to be sent");
  auto sum = DigestOf(descriptor, about.st_size);
  if (!sum.ok()) return sum.status();
  v1::WriteFileRequest request;
  *request.mutable_file() = name;
  request.set_size_bytes(about.st_size);
  request.set_sha256(*std::move(sum));
  absl::Status status;
  for (int tries = 0; tries < kTries; ++tries) {
    status = SendPieces(&request, descriptor);
    if (!absl::IsDataLoss(status)) return status;
    spdlog::warn("sending {} again: {}", v1::FileKind_Name(name.kind()),
                 std::string(status.message()));
  }
  return status;
}

absl::Status FileLine::SendPieces(v1::WriteFileRequest* request, int descriptor) {
  std::string* data = request->mutable_data();
  for (std::int64_t offset = 0;;) {
    const std::int64_t left = request->size_bytes() - offset;
    data->resize(static_cast<std::size_t>(std::min(left, static_cast<std::int64_t>(kPiece))));
    const ssize_t got = pread(descriptor, data->data(), data->size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got != static_cast<ssize_t>(data->size())) return NodeError("reading", "a file");
    request->set_offset(offset);
    const auto answer = Write(*request);
    if (!answer.ok()) return answer.status();
    if (answer->stored()) return absl::OkStatus();
    offset = answer->received_bytes();
    if (offset < 0 || offset > request->size_bytes()) {
      return absl::InternalError("the server has more of a file than there is");
    }
  }
}

}  // namespace atelier::worker
