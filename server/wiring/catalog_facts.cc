#include "server/wiring/catalog_facts.h"

#include "absl/time/time.h"
#include "server/rpc/conversions.h"

namespace atelier::wiring {
namespace {

// For a data set that has to be read first; the worker looks again.
constexpr absl::Duration kPatience = absl::Seconds(5);

}  // namespace

std::optional<jobs::DatasetFacts> CatalogFacts::Describe(absl::string_view name) {
  const std::string key(name);
  if (!catalog_->Directory(key).has_value()) return std::nullopt;
  const auto info = catalog_->Info(key);
  jobs::DatasetFacts facts;
  if (!info.ok()) {
    facts.problem = std::string(info.status().message());
    return facts;
  }
  facts.class_count = static_cast<int>(info->class_names.size());
  facts.class_names = info->class_names;
  facts.image_shape = rpc::ToProto(info->shape);
  facts.training_images = info->training_images;
  return facts;
}

std::optional<std::string> CatalogFacts::Checksum(absl::string_view name) {
  const std::string key(name);
  if (!catalog_->Directory(key).has_value()) return std::nullopt;
  const auto summary = catalog_->Summary(key, kPatience);
  if (!summary.has_value() || !summary->ok()) return std::nullopt;
  return (*summary)->checksum;
}

}  // namespace atelier::wiring
