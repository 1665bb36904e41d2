#include "server/access/gatekeeper.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proto/access/token.h"
#include "server/jobs/error.h"
#include "server/jobs/page_token.h"

namespace atelier::access {
namespace {

constexpr absl::Duration kBetweenLooks = absl::Seconds(1);
constexpr absl::string_view kScheme = "bearer ";
constexpr std::size_t kMaxShownName = 200;

absl::Status Unauthenticated(absl::string_view reason, absl::string_view message) {
  return jobs::Error(absl::StatusCode::kUnauthenticated, reason, message);
}

// Closes a descriptor.
struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0) close(number);
  }
};

absl::Status Unreadable(const std::string& path, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("--access_file: ", path, " cannot be used: ", why, "."));
}

// Changes with the file.
std::string StampOf(const struct stat& info) {
  return absl::StrCat(info.st_dev, " ", info.st_ino, " ", info.st_size, " ", info.st_mtim.tv_sec,
                      ".", info.st_mtim.tv_nsec, " ", info.st_ctim.tv_sec, ".",
                      info.st_ctim.tv_nsec);
}

absl::StatusOr<std::string> ReadAll(const std::string& path, int file, std::int64_t size) {
  std::string text(static_cast<std::size_t>(size), '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t got =
        pread(file, text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Unreadable(path, strerror(errno));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  text.resize(done);
  return text;
}

struct FileContent {
  std::string text;
  std::string stamp;
};

absl::StatusOr<FileContent> ReadAccessFile(const std::string& path) {
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.number < 0) return Unreadable(path, strerror(errno));
  struct stat info = {};
  if (fstat(file.number, &info) != 0) return Unreadable(path, strerror(errno));
  if (!S_ISREG(info.st_mode)) return Unreadable(path, "it is no plain file");
  if (info.st_size > kMaxAccessFileBytes) {
    return Unreadable(
        path, absl::StrCat("it has ", info.st_size, " bytes, and may have ", kMaxAccessFileBytes));
  }
  if ((info.st_mode & S_IWOTH) != 0) {
    return Unreadable(path, "everybody on this machine may write to it; chmod o-w");
  }
  auto text = ReadAll(path, file.number, info.st_size);
  if (!text.ok()) return text.status();
  return FileContent{*std::move(text), StampOf(info)};
}

// A header that was found right, by what the file said: for that it is right again.
struct Recalled {
  std::shared_ptr<const void> known;
  std::string authorization;
  std::shared_ptr<const Caller> caller;
};

// As `find`, without a digest for headers that this thread saw lately: compared in constant time,
// and forgotten when the file is read again.
template <typename Find>
std::shared_ptr<const Caller> Recall(const std::shared_ptr<const void>& known,
                                     absl::string_view authorization, const Find& find) {
  // Told apart by a digit of the token's id, which is no secret.
  constexpr std::size_t kDigit = 22;
  constexpr std::size_t kSlots = 16;
  thread_local std::array<Recalled, kSlots> recalled;
  if (authorization.size() <= kDigit) return find();
  Recalled& slot = recalled[static_cast<unsigned char>(authorization[kDigit]) % kSlots];
  if (slot.known == known && SameHash(slot.authorization, authorization)) return slot.caller;
  std::shared_ptr<const Caller> caller = find();
  if (caller != nullptr) slot = {known, std::string(authorization), caller};
  return caller;
}

}  // namespace

Gatekeeper::Gatekeeper(Options options, const Clock* clock)
    : options_(std::move(options)),
      failures_(options_.failures, clock),
      callers_(std::make_shared<const Callers>()) {}

absl::StatusOr<std::unique_ptr<Gatekeeper>> Gatekeeper::Open(Options options, const Clock* clock) {
  std::unique_ptr<Gatekeeper> gatekeeper(new Gatekeeper(std::move(options), clock));
  if (!gatekeeper->asks()) return gatekeeper;
  if (auto status = gatekeeper->Read(); !status.ok()) return status;
  return gatekeeper;
}

std::shared_ptr<CallerActivity> Gatekeeper::ActivityOf(const Credential& credential,
                                                       const Limits& limits) {
  if (!limits.calls.has_value() && !limits.streams.has_value()) return nullptr;
  auto& activity = activities_[credential.name];
  if (activity == nullptr) activity = std::make_shared<CallerActivity>();
  return activity;
}

std::shared_ptr<const Gatekeeper::Callers> Gatekeeper::MakeCallers(
    const std::vector<Credential>& credentials, const std::map<std::string, Limits>& limits) {
  const auto limits_of = [&](const std::string& who) {
    const auto found = limits.find(who);
    return found == limits.end() ? Limits() : found->second;
  };
  auto callers = std::make_shared<Callers>();
  for (const Credential& credential : credentials) {
    const bool token = credential.kind == Credential::Kind::kToken;
    const Limits most =
        Combined(limits_of(credential.name), limits_of(std::string(RoleWord(credential.role))));
    callers->limits[credential.name] = most;
    auto caller =
        std::make_shared<const Caller>(Caller{.name = credential.name,
                                              .role = credential.role,
                                              .credential = token ? "token" : "certificate",
                                              .limits = most,
                                              .activity = ActivityOf(credential, most)});
    if (token) {
      callers->tokens[credential.id] = {credential.sha256, std::move(caller)};
    } else {
      callers->certificates[credential.name] = std::move(caller);
    }
  }
  return callers;
}

absl::Status Gatekeeper::Read() {
  auto content = ReadAccessFile(options_.file);
  if (!content.ok()) return content.status();
  stamp_ = std::move(content->stamp);
  const auto credentials = ParseAccessFile(content->text);
  if (!credentials.ok()) return Unreadable(options_.file, credentials.status().message());
  const auto limits = ParseLimits(content->text);
  if (!limits.ok()) return Unreadable(options_.file, limits.status().message());
  auto callers = MakeCallers(*credentials, *limits);
  MutexLock lock(&mutex_);
  callers_ = std::move(callers);
  return absl::OkStatus();
}

absl::Duration Gatekeeper::Tick() {
  if (!asks()) return absl::InfiniteDuration();
  struct stat info = {};
  if (stat(options_.file.c_str(), &info) == 0 && StampOf(info) == stamp_) return kBetweenLooks;
  const absl::Status status = Read();
  if (AccessObserver* observer = observer_) observer->FileRead(status.ok());
  std::string complaint(status.message());
  if (complaint != complaint_ && !complaint.empty()) {
    Log(absl::StrCat(complaint, " What it said before goes on."));
  }
  if (status.ok()) Log(absl::StrCat("The access file ", options_.file, " was read again."));
  complaint_ = std::move(complaint);
  return kBetweenLooks;
}

std::shared_ptr<const Gatekeeper::Callers> Gatekeeper::callers() const {
  MutexLock lock(&mutex_);
  return callers_;
}

absl::StatusOr<std::shared_ptr<const Caller>> Gatekeeper::Identify(const Shown& shown) const {
  if (!asks()) {
    if (shown.certificate_name.empty()) return Anybody();
    return std::make_shared<const Caller>(
        Caller{.name = shown.certificate_name, .credential = "certificate"});
  }
  const auto known = callers();
  if (shown.authorization.has_value()) {
    auto caller = shown.several ? nullptr : Recall(known, *shown.authorization, [&] {
      return FindToken(*known, *shown.authorization);
    });
    if (caller != nullptr) return caller;
    return Unauthenticated("UNKNOWN_TOKEN",
                           "The server does not know the token: it was removed, is incomplete or "
                           "belongs to another server. Ask an administrator of the server for a "
                           "new one (atelier admin token add).");
  }
  if (shown.certificate_name.empty()) {
    return Unauthenticated("NO_CREDENTIALS",
                           "The server asks who you are: give a token with --token-file or "
                           "ATELIER_TOKEN_FILE (other programs: `authorization: Bearer TOKEN`). An "
                           "administrator of the server makes one with `atelier admin token add`.");
  }
  const auto found = known->certificates.find(shown.certificate_name);
  if (found != known->certificates.end()) return found->second;
  return Unauthenticated(
      "UNKNOWN_CERTIFICATE",
      absl::StrCat("The server's access file does not name the certificate of ",
                   jobs::ClipText(shown.certificate_name, kMaxShownName),
                   ". Give a token, or ask an administrator of the server for the line "
                   "`certificate NAME ROLE`."));
}

std::shared_ptr<const Caller> Gatekeeper::FindToken(const Callers& known,
                                                    absl::string_view authorization) {
  // Compared with where there is no such token, so that this takes as long.
  static const Known* const kNobody = new Known{std::string(kTokenHashDigits, '0'), nullptr};
  if (!absl::StartsWithIgnoreCase(authorization, kScheme)) return nullptr;
  const absl::string_view text = absl::StripAsciiWhitespace(authorization.substr(kScheme.size()));
  const auto found = known.tokens.find(TokenId(text).value_or(""));
  const Known& token = found == known.tokens.end() ? *kNobody : found->second;
  return SameHash(TokenHash(text), token.sha256) ? token.caller : nullptr;
}

Limits Gatekeeper::LimitsOf(const std::string& name) const {
  const auto known = callers();
  const auto found = known->limits.find(name);
  return found == known->limits.end() ? Limits() : found->second;
}

bool Gatekeeper::MayRead(const std::string& token) const {
  const std::string header = absl::StrCat("Bearer ", token);
  const auto caller = Identify({.authorization = header});
  return caller.ok() && (*caller)->role >= Role::kViewer;
}

absl::Duration Gatekeeper::NoteRefusal(const absl::Status& status, absl::string_view path,
                                       absl::string_view caller, const std::string& peer) {
  const std::string reason = jobs::ReasonOf(status);
  if (AccessObserver* observer = observer_) observer->Refused(reason);
  const bool known = !absl::IsUnauthenticated(status);
  const bool guess = reason == "UNKNOWN_TOKEN";
  // Who shows nothing, or may not, guesses nothing: only its lines in the log are counted.
  const FailedAttempts::Verdict verdict =
      failures_.Note(known   ? absl::StrCat("caller ", caller, ":")
                     : guess ? peer
                             : absl::StrCat("stranger ", peer));
  if (verdict.worth_a_line) {
    Log(absl::StrCat(known ? caller : "A stranger", " at ", peer, " was refused ", path, " (",
                     reason, "), ", verdict.attempts, " refused lately."));
  }
  return guess ? verdict.delay : absl::ZeroDuration();
}

void Gatekeeper::Log(const std::string& sentence) const {
  if (options_.log) options_.log(sentence);
}

}  // namespace atelier::access
