#include "server/objects/object_claim.h"

#include <cstdint>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace atelier::objects {
namespace {

absl::Status Refused(const S3Options& options, const absl::Status& why, absl::string_view what) {
  const std::string sentence =
      absl::StrCat("--artifacts: ", options.Location(), " ", what, ": ", why.message(), ".");
  const bool later = absl::IsUnavailable(why) || absl::IsCancelled(why);
  return later ? absl::UnavailableError(sentence) : absl::FailedPreconditionError(sentence);
}

}  // namespace

absl::Status ObjectClaim::Claim(S3Client* client, absl::Time now) {
  absl::Status status = claimed_ ? absl::OkStatus() : Take(client, now);
  claimed_ = status.ok();
  return status;
}

absl::Status ObjectClaim::Take(S3Client* client, absl::Time now) {
  const S3Options& options = client->options();
  const auto marker = client->GetText(kMarkerKey);
  if (absl::IsNotFound(marker.status())) return TakeNew(client, now);
  if (!marker.ok()) return Refused(options, marker.status(), "cannot be read");
  const std::string owner(absl::StripAsciiWhitespace(*marker));
  if (owner != server_id_) {
    return absl::FailedPreconditionError(
        absl::StrCat("--artifacts: ", options.Location(), " belongs to another server, ",
                     absl::Utf8SafeCEscape(owner.substr(0, 40)), " (this one is ", server_id_,
                     "); give each server a prefix of its own, or remove ", options.Uri(kMarkerKey),
                     " if that server is gone."));
  }
  // Whether it can still be written to.
  const auto written = client->PutText(kMarkerKey, server_id_ + "\n", false);
  return written.ok() ? absl::OkStatus()
                      : Refused(options, written.status(), "cannot be written to");
}

absl::Status ObjectClaim::CheckNothingIsElsewhere(const S3Options& options) const {
  const auto known = list_->ListObjects("");
  if (!known.ok()) return known.status();
  std::int64_t elsewhere = 0;
  for (const jobs::ObjectRecord& record : *known) {
    std::error_code error;
    const bool here = std::filesystem::exists(absl::StrCat(data_dir_, "/", record.path), error);
    if (record.state == jobs::ObjectRecord::State::kStored && !here) ++elsewhere;
  }
  if (elsewhere == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "--artifacts: ", options.Location(), " has nothing of this server's, though ", elsewhere,
      " of its files are only in the object store that it used before; copy all objects from "
      "there, ",
      kMarkerKey, " among them, or give that one again."));
}

absl::Status ObjectClaim::TakeNew(S3Client* client, absl::Time now) {
  const S3Options& options = client->options();
  if (auto status = CheckNothingIsElsewhere(options); !status.ok()) return status;
  const auto taken = client->PutText(kMarkerKey, server_id_ + "\n", true);
  if (!taken.ok() && !absl::IsAborted(taken.status())) {
    return Refused(options, taken.status(), "cannot be written to");
  }
  // Two may have tried at once, on a store that knows no conditional writes.
  const auto marker = client->GetText(kMarkerKey);
  if (!marker.ok()) return Refused(options, marker.status(), "cannot be read");
  if (absl::StripAsciiWhitespace(*marker) != server_id_) {
    return Refused(options, absl::AbortedError("another server takes it as well"),
                   "cannot be taken");
  }
  return list_->RequeueObjects(now);
}

}  // namespace atelier::objects
