#include "server/rpc/upload_announcement.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/jobs/error.h"
#include "server/jobs/import_request.h"
#include "server/jobs/job_resources.h"
#include "server/jobs/resource_names.h"

namespace atelier::rpc {
namespace {

constexpr std::size_t kMaxSourceName = 255;
constexpr char kSourceName[] = "upload";

bool IsSha256(const std::string& text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), absl::ascii_isxdigit);
}

// All wrong fields at once.
absl::Status CheckFields(const v1::CreateUploadRequest& request,
                         const jobs::SpecResolver::Options& limits) {
  std::vector<jobs::FieldViolation> wrong;
  const auto add = [&](const absl::Status& status) {
    for (auto& violation : jobs::ViolationsOf(status)) wrong.push_back(std::move(violation));
  };
  const auto dataset = jobs::ParseDatasetName(request.dataset(), "dataset");
  add(dataset.status());
  if (dataset.ok() && dataset->version != 0) {
    wrong.push_back({"dataset", absl::StrCat("The server gives a new version its number; name the "
                                             "data set ",
                                             dataset->dataset, " alone.")});
  }
  if (request.size_bytes() < 1) {
    wrong.push_back({"size_bytes", absl::StrCat("The size is ", request.size_bytes(),
                                                " bytes; it must be at least 1.")});
  }
  if (!IsSha256(request.sha256())) {
    wrong.push_back({"sha256", absl::StrCat("The SHA-256 ", jobs::Quoted(request.sha256()),
                                            " is not 64 hexadecimal digits.")});
  }
  if (request.source_name().size() > kMaxSourceName) {
    wrong.push_back(
        {"source_name", absl::StrCat("The source's name has ", request.source_name().size(),
                                     " bytes; it may have ", kMaxSourceName, ".")});
  }
  add(jobs::ResolveImportOptions(request.options()).status());
  jobs::CheckResources(limits, "", request, &wrong);
  return jobs::InvalidFields(wrong);
}

// The version that was made of the same content with the same options; empty if there is none.
absl::StatusOr<std::string> FindExisting(const DatasetService::Dependencies& with,
                                         const std::string& dataset, const std::string& sha256,
                                         const v1::ImportOptions& options) {
  const auto made = with.pushed->FindImported(dataset, sha256);
  if (!made.ok()) return made.status();
  for (const v1::Dataset& version : *made) {
    if (jobs::SameOptions(version.source().options(), options)) return version.name();
  }
  return std::string();
}

}  // namespace

absl::Status CheckNotFolder(const DatasetService::Dependencies& with, absl::StatusCode code,
                            const std::string& dataset) {
  if (!with.catalog->Directory(dataset).has_value()) return absl::OkStatus();
  return jobs::Error(code, "DATASET_OF_FLAG",
                     absl::StrCat("The server has the data set ", dataset,
                                  " by its flag --datasets; it can be neither pushed nor deleted. "
                                  "Use another name."));
}

absl::StatusOr<v1::Upload> AnnounceUpload(const DatasetService::Dependencies& with,
                                          const v1::CreateUploadRequest& request,
                                          const std::string& creator) {
  if (absl::Status status = CheckFields(request, *with.limits); !status.ok()) return status;
  const std::string dataset = jobs::ParseDatasetName(request.dataset())->dataset;
  const absl::Status taken_by_flag =
      CheckNotFolder(with, absl::StatusCode::kAlreadyExists, dataset);
  if (!taken_by_flag.ok()) return taken_by_flag;
  const auto options = jobs::ResolveImportOptions(request.options());
  if (!options.ok()) return options.status();

  v1::Upload upload;
  upload.set_dataset(request.dataset());
  upload.set_creator(creator);
  upload.set_size_bytes(request.size_bytes());
  upload.set_sha256(absl::AsciiStrToLower(request.sha256()));
  upload.set_source_name(request.source_name().empty() ? kSourceName : request.source_name());
  auto existing = FindExisting(with, dataset, upload.sha256(), *options);
  if (!existing.ok()) return existing.status();
  if (!existing->empty()) {
    upload.set_existing_version(*std::move(existing));
    return upload;
  }
  if (with.check_data) {
    const std::string id =
        uploads::UploadFolder::IdOf(dataset, upload.size_bytes(), upload.sha256(), creator);
    const absl::Status room =
        with.check_data(creator, with.uploads->BytesOf(creator, id), upload.size_bytes());
    if (!room.ok()) return room;
  }
  const auto bytes = with.pushed->DatasetBytes();
  if (!bytes.ok()) return bytes.status();
  return with.uploads->Create(std::move(upload), *bytes);
}

}  // namespace atelier::rpc
