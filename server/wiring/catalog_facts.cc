#include "server/wiring/catalog_facts.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/jobs/error.h"
#include "server/jobs/resource_names.h"
#include "server/rpc/conversions.h"

namespace atelier::wiring {
namespace {

// For a data set that has to be read first; the worker looks again.
constexpr absl::Duration kPatience = absl::Seconds(5);

absl::Status NoSuchDataset(absl::string_view text) {
  return jobs::Error(absl::StatusCode::kNotFound, "DATASET_NOT_FOUND",
                     absl::StrCat("There is no data set ", jobs::Quoted(text), "."));
}

jobs::DatasetFacts FactsOf(const v1::Dataset& dataset) {
  const auto name = jobs::ParseDatasetName(dataset.name());
  jobs::DatasetFacts facts;
  if (name.ok()) facts.reference = name->Text();
  facts.class_count = dataset.class_names_size();
  facts.class_names.assign(dataset.class_names().begin(), dataset.class_names().end());
  facts.image_shape = dataset.image_shape();
  facts.training_images = dataset.training_images();
  facts.validation_images = dataset.validation_images();
  facts.test_images = dataset.test_images();
  return facts;
}

}  // namespace

std::optional<std::string> CatalogFacts::Checksum(absl::string_view text) {
  const auto reference = jobs::ParseDatasetReference(text);
  if (!reference.has_value()) return std::nullopt;
  if (reference->version == 0 && catalog_->Directory(reference->dataset).has_value()) {
    const auto content = catalog_->Read(reference->dataset, kPatience);
    if (!content.has_value() || !content->ok()) return std::nullopt;
    return (*content)->summary.checksum;
  }
  const auto dataset = pushed_->FindDataset(*reference);
  if (!dataset.ok()) return std::nullopt;
  return dataset->checksum();
}

std::vector<std::string> CatalogFacts::Names() const {
  std::vector<std::string> names = catalog_->Names();
  const auto pushed = pushed_->DatasetNames(jobs::DatasetStore::kNamed);
  if (!pushed.ok()) return names;
  names.insert(names.end(), pushed->begin(), pushed->end());
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

absl::StatusOr<jobs::DatasetPlace> CatalogFacts::Find(absl::string_view text) const {
  const auto reference = jobs::ParseDatasetReference(text);
  if (!reference.has_value()) return NoSuchDataset(text);
  if (reference->version == 0) {
    if (auto folder = catalog_->Directory(reference->dataset); folder.has_value()) {
      return jobs::DatasetPlace{.folder = *std::move(folder), .file = {}};
    }
  }
  const auto dataset = pushed_->FindDataset(*reference);
  if (!dataset.ok()) return dataset.status();
  return jobs::DatasetPlace{
      .folder = {}, .file = artifacts_->DatasetPath(reference->dataset, dataset->version())};
}

jobs::DatasetFacts CatalogFacts::DescribeFolder(const std::string& name) {
  const auto info = catalog_->Info(name);
  jobs::DatasetFacts facts;
  if (info.ok()) {
    facts = FactsOf(rpc::ToProto(*info));
  } else {
    facts.problem = std::string(info.status().message());
  }
  facts.reference = name;
  return facts;
}

absl::StatusOr<jobs::DatasetFacts> CatalogFacts::Describe(absl::string_view text) {
  const auto reference = jobs::ParseDatasetReference(text);
  if (!reference.has_value()) return NoSuchDataset(text);
  if (reference->version == 0 && catalog_->Directory(reference->dataset).has_value()) {
    return DescribeFolder(reference->dataset);
  }
  const auto dataset = pushed_->FindDataset(*reference);
  if (!dataset.ok()) return dataset.status();
  return FactsOf(*dataset);
}

}  // namespace atelier::wiring
