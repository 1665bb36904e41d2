#include "server/wiring/catalog_facts.h"

#include "server/rpc/conversions.h"

namespace atelier::wiring {

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

}  // namespace atelier::wiring
