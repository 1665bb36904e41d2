#include "server/access/audit_log.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "google/protobuf/util/json_util.h"
#include "server/jobs/page_token.h"
#include "server/jobs/timestamps.h"

namespace atelier::access {
namespace {

constexpr int kDefaultPage = 100;
constexpr int kMaxPage = 1000;

std::string LineOf(const v1::AuditEntry& entry) {
  std::string line;
  // It fails for no message of ours.
  if (!google::protobuf::util::MessageToJsonString(entry, &line).ok()) return "";
  return line + "\n";
}

v1::AuditEntry LostEntry(std::size_t lost) {
  v1::AuditEntry entry;
  *entry.mutable_time() = jobs::ToTimestamp(absl::Now());
  entry.set_message(absl::StrCat(lost, " entries before this one were lost."));
  return entry;
}

// Where a page begins: before this offset of this file.
struct Position {
  std::int64_t file = 0;
  std::size_t end = std::string::npos;
};

std::string TextOf(const Position& position) {
  return absl::StrCat(position.file, ":", position.end);
}

absl::StatusOr<Position> ParsePosition(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
  Position position;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &position.file) ||
      !absl::SimpleAtoi(parts[1], &position.end)) {
    return absl::InternalError("A page token holds no position.");
  }
  return position;
}

bool Fits(const v1::AuditEntry& entry, const v1::ListAuditEntriesRequest& request) {
  return (request.caller().empty() || entry.caller() == request.caller()) &&
         (request.resource().empty() || absl::StrContains(entry.resource(), request.resource()));
}

// Takes entries from the end of `content` on until the page is full; answers with where the next
// page ends, 0 if nothing is left.
std::size_t TakePage(absl::string_view content, int page_size,
                     const v1::ListAuditEntriesRequest& request,
                     v1::ListAuditEntriesResponse* response) {
  jobs::PageRoom room(page_size);
  while (!content.empty()) {
    const std::size_t last = content.find_last_not_of('\n');
    if (last == absl::string_view::npos) return 0;
    const std::size_t before = content.rfind('\n', last);
    const std::size_t begin = before == absl::string_view::npos ? 0 : before + 1;
    v1::AuditEntry entry;
    // A line that a crash cut is left out.
    const bool whole = google::protobuf::util::JsonStringToMessage(
                           std::string(content.substr(begin, last + 1 - begin)), &entry)
                           .ok();
    if (whole && Fits(entry, request)) {
      if (!room.Take(entry.ByteSizeLong())) return content.size();
      response->add_entries()->Swap(&entry);
    }
    content = content.substr(0, begin);
  }
  return 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(Options options) {
  std::unique_ptr<AuditLog> log(new AuditLog(std::move(options)));
  auto files = AuditFiles::Open(log->options_.files);
  if (!files.ok()) return files.status();
  log->files_ = *std::move(files);
  return log;
}

AuditLog::~AuditLog() { AwaitWritten(); }

void AuditLog::Add(v1::AuditEntry entry) {
  MutexLock lock(&mutex_);
  if (waiting_.size() >= options_.max_waiting) {
    ++lost_;
  } else {
    waiting_.push_back(std::move(entry));
  }
  // There is room for the one task.
  if (!std::exchange(writing_, true) && !tasks_.TryAdd([this] { Write(); })) writing_ = false;
}

void AuditLog::Write() {
  while (true) {
    std::deque<v1::AuditEntry> entries;
    std::size_t lost = 0;
    {
      MutexLock lock(&mutex_);
      if (waiting_.empty() && lost_ == 0) {
        writing_ = false;
        written_.NotifyAll();
        return;
      }
      entries.swap(waiting_);
      lost = std::exchange(lost_, 0);
    }
    WriteAll(entries, lost);
  }
}

void AuditLog::WriteAll(const std::deque<v1::AuditEntry>& entries, std::size_t lost) {
  std::string lines;
  for (const v1::AuditEntry& entry : entries) lines += LineOf(entry);
  if (lost > 0) lines += LineOf(LostEntry(lost));
  const absl::Status status = files_->Append(lines);
  if (!status.ok()) lost += entries.size();
  if (lost > 0 && options_.observer != nullptr) options_.observer->AuditEntriesLost(lost);
  std::string complaint(status.message());
  if (complaint != complaint_ && !complaint.empty() && options_.log) options_.log(complaint);
  complaint_ = std::move(complaint);
}

void AuditLog::AwaitWritten() {
  MutexLock lock(&mutex_);
  while (writing_) written_.Wait(&mutex_);
}

absl::StatusOr<v1::ListAuditEntriesResponse> AuditLog::List(
    const v1::ListAuditEntriesRequest& request) {
  const auto size = jobs::ResolvePageSize(request.page_size(), kDefaultPage, kMaxPage);
  if (!size.ok()) return size.status();
  const std::string scope = absl::StrCat("audit:", request.caller(), "\n", request.resource());
  const auto text = jobs::ReadPageToken(scope, request.page_token());
  if (!text.ok()) return text.status();
  if (text->empty()) AwaitWritten();
  const std::vector<std::int64_t> numbers = files_->Numbers();
  absl::StatusOr<Position> position = Position{numbers.empty() ? 0 : numbers.back()};
  if (!text->empty()) position = ParsePosition(*text);
  if (!position.ok()) return position.status();

  v1::ListAuditEntriesResponse response;
  const auto content = files_->Read(position->file);
  // It was the oldest, and made room for a new one.
  if (!content.ok()) return response;
  position->end =
      TakePage(absl::string_view(*content).substr(0, position->end), *size, request, &response);
  if (position->end == 0) {
    const auto here = std::lower_bound(numbers.begin(), numbers.end(), position->file);
    if (here == numbers.begin()) return response;
    *position = Position{*std::prev(here)};
  }
  response.set_next_page_token(jobs::MakePageToken(scope, TextOf(*position)));
  return response;
}

}  // namespace atelier::access
