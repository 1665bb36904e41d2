#include "server/registry/registry_mirror.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/util/message_differencer.h"
#include "models/files/durable_file.h"
#include "server/jobs/model_errors.h"
#include "server/jobs/page_token.h"
#include "server/jobs/resource_names.h"
#include "server/registry/registry_file.h"

namespace atelier::registry {
namespace {

constexpr char kLatest[] = "latest";

std::optional<std::int64_t> FindAlias(const v1::Model& model, absl::string_view alias) {
  for (const v1::ModelAlias& one : model.aliases()) {
    if (one.alias() == alias) return one.version();
  }
  return std::nullopt;
}

const v1::ModelVersion* FindVersion(const v1::Model& model, std::int64_t number) {
  for (const v1::ModelVersion& version : model.versions()) {
    if (version.version() == number) return &version;
  }
  return nullptr;
}

absl::StatusOr<std::int64_t> NumberOf(const v1::Model& model, const std::string& name,
                                      const std::string& reference) {
  std::int64_t number = 0;
  const bool digits =
      !reference.empty() && std::all_of(reference.begin(), reference.end(), absl::ascii_isdigit);
  if (digits && absl::SimpleAtoi(reference, &number)) return number;
  const bool latest = reference.empty() || reference == kLatest;
  const auto alias = FindAlias(model, latest ? kLatest : reference);
  if (alias.has_value()) return *alias;
  return latest ? jobs::NoLatest(name) : jobs::NoReference(name, reference);
}

std::set<std::int64_t> NumbersOf(const v1::Model& model) {
  std::set<std::int64_t> numbers;
  for (const v1::ModelVersion& version : model.versions()) numbers.insert(version.version());
  return numbers;
}

// The model with a page of its versions, those below `before`.
v1::Model PageOf(const v1::Model& model, const std::string& name, int page_size,
                 std::int64_t before) {
  v1::Model page;
  page.set_name(model.name());
  *page.mutable_aliases() = model.aliases();
  page.set_version_count(model.versions_size());
  jobs::PageRoom room(page_size);
  for (const v1::ModelVersion& version : model.versions()) {
    if (version.version() >= before) continue;
    if (!room.Take(version.ByteSizeLong())) {
      page.set_next_page_token(jobs::MakeVersionsToken(name, page.versions().rbegin()->version()));
      break;
    }
    *page.add_versions() = version;
  }
  return page;
}

}  // namespace

absl::Duration RegistryMirror::Tick() {
  Report(Look());
  return options_.interval;
}

absl::Status RegistryMirror::Look() {
  const auto bytes = place_->Read();
  if (!bytes.ok()) {
    if (!ready() && !options_.copy_path.empty()) Recall();
    return bytes.status();
  }
  if (!bytes->has_value()) return refusal_;
  auto registry = ReadRegistry(**bytes);
  refusal_ = registry.status();
  if (!registry.ok()) return refusal_;
  Follow(*std::move(registry));
  if (!options_.copy_path.empty()) KeepCopy(**bytes);
  return refusal_;
}

void RegistryMirror::Recall() {
  const auto bytes = models::ReadWholeFile(options_.copy_path, kMaxRegistryBytes);
  if (!bytes.ok()) return;
  if (auto registry = ReadRegistry(*bytes); registry.ok()) Follow(*std::move(registry));
}

void RegistryMirror::KeepCopy(const std::string& bytes) const {
  const absl::Status kept = models::WriteFileDurably(options_.copy_path, bytes);
  if (!kept.ok()) options_.log(std::string(kept.message()));
}

void RegistryMirror::Follow(published::v1::Registry registry) {
  auto now = std::make_shared<ModelMap>();
  std::int64_t versions = 0;
  for (v1::Model& model : *registry.mutable_models()) {
    versions += model.versions_size();
    const std::string name = jobs::ParseModelName(model.name())->model;
    (*now)[name].Swap(&model);
  }
  std::shared_ptr<const ModelMap> before = models();
  {
    MutexLock lock(&mutex_);
    models_ = now;
  }
  observer_->Followed(versions);
  if (before != nullptr) {
    Tell(*before, *now);
  } else if (listener_.ready) {
    listener_.ready();
  }
}

void RegistryMirror::Tell(const ModelMap& before, const ModelMap& now) const {
  for (const auto& [name, old] : before) {
    const auto found = now.find(name);
    const v1::Model& present = found == now.end() ? v1::Model::default_instance() : found->second;
    if (google::protobuf::util::MessageDifferencer::Equals(old, present)) continue;
    if (listener_.follow) listener_.follow(name);
    const std::set<std::int64_t> left = NumbersOf(present);
    for (const std::int64_t number : NumbersOf(old)) {
      if (listener_.forget && !left.contains(number)) listener_.forget(name, number);
    }
  }
}

void RegistryMirror::Report(const absl::Status& status) {
  if (status.ok()) {
    if (failing_since_.has_value()) {
      options_.log(absl::StrCat(
          "The registry ", place_->Name(), " is followed again, after ",
          absl::FormatDuration(absl::Trunc(clock_->Now() - *failing_since_, absl::Seconds(1))),
          "."));
    }
    failing_since_.reset();
    complaint_.clear();
  } else {
    if (!failing_since_.has_value()) failing_since_ = clock_->Now();
    std::string complaint = absl::StrCat(
        "The registry ", place_->Name(), " cannot be followed since ",
        absl::FormatTime(absl::RFC3339_sec, *failing_since_, absl::UTCTimeZone()), ": ",
        status.message(), ready() ? ". What is known of it is served on." : ". Nothing is served.");
    if (complaint != complaint_) options_.log(complaint);
    complaint_ = std::move(complaint);
  }
  observer_->Unreadable(failing_since_);
}

absl::StatusOr<std::shared_ptr<const RegistryMirror::ModelMap>> RegistryMirror::Known() const {
  auto known = models();
  if (known != nullptr) return known;
  return absl::UnavailableError(
      absl::StrCat("This serving replica has not seen the registry ", place_->Name(), " yet."));
}

absl::StatusOr<std::shared_ptr<const v1::Model>> RegistryMirror::Find(
    const std::string& model) const {
  auto known = Known();
  if (!known.ok()) return known.status();
  const auto found = (*known)->find(model);
  if (found == (*known)->end()) return jobs::NoModel(model);
  return std::shared_ptr<const v1::Model>(*std::move(known), &found->second);
}

serving::Version RegistryMirror::ToVersion(const std::string& model,
                                           const v1::ModelVersion& version) const {
  return {model, version.version(), place_->ArchivePath(model, version), version.sha256()};
}

absl::StatusOr<serving::Version> RegistryMirror::Resolve(const std::string& model,
                                                         const std::string& reference) {
  const auto found = Find(model);
  if (!found.ok()) return found.status();
  const auto number = NumberOf(**found, model, reference);
  if (!number.ok()) return number.status();
  const v1::ModelVersion* const version = FindVersion(**found, *number);
  if (version == nullptr) return jobs::NoVersion(model, *number);
  return ToVersion(model, *version);
}

absl::StatusOr<std::vector<serving::Version>> RegistryMirror::Versions(const std::string& model) {
  const auto found = Find(model);
  if (!found.ok()) return found.status();
  std::vector<serving::Version> versions;
  for (const v1::ModelVersion& version : (*found)->versions()) {
    versions.push_back(ToVersion(model, version));
  }
  std::reverse(versions.begin(), versions.end());
  return versions;
}

absl::StatusOr<std::vector<std::string>> RegistryMirror::Models() {
  const auto known = Known();
  if (!known.ok()) return known.status();
  std::vector<std::string> names;
  for (const auto& [name, model] : **known) names.push_back(name);
  return names;
}

absl::Status RegistryMirror::Fetch(const serving::Version& version) {
  const auto found = Find(version.model);
  if (!found.ok()) return found.status();
  const v1::ModelVersion* const known = FindVersion(**found, version.number);
  if (known == nullptr) return jobs::NoVersion(version.model, version.number);
  return place_->Fetch(version.model, *known);
}

absl::StatusOr<v1::ListModelsResponse> RegistryMirror::ListModels(int page_size,
                                                                  absl::string_view page_token) {
  const auto after = jobs::ReadPageToken("models", page_token);
  if (!after.ok()) return after.status();
  const auto known = Known();
  if (!known.ok()) return known.status();
  v1::ListModelsResponse response;
  jobs::PageRoom room(page_size);
  std::string last;
  for (auto at = (*known)->upper_bound(*after); at != (*known)->end(); ++at) {
    v1::Model model = PageOf(at->second, at->first, 1, INT64_MAX);
    model.clear_next_page_token();
    if (!room.Take(model.ByteSizeLong())) {
      response.set_next_page_token(jobs::MakePageToken("models", last));
      break;
    }
    last = at->first;
    response.add_models()->Swap(&model);
  }
  return response;
}

absl::StatusOr<v1::Model> RegistryMirror::GetModel(const std::string& model, int page_size,
                                                   absl::string_view page_token) {
  const auto before = jobs::ReadVersionsToken(model, page_token);
  if (!before.ok()) return before.status();
  const auto found = Find(model);
  if (!found.ok()) return found.status();
  return PageOf(**found, model, page_size, *before);
}

}  // namespace atelier::registry
