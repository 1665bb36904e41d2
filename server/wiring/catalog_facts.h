// The catalogue of data sets as the job controller wants to see it.
#ifndef ATELIER_SERVER_WIRING_CATALOG_FACTS_H_
#define ATELIER_SERVER_WIRING_CATALOG_FACTS_H_

#include <optional>
#include <string>
#include <vector>

#include "server/jobs/dataset_source.h"
#include "server/views/dataset_catalog.h"

namespace atelier::wiring {

// Thread-safe.
class CatalogFacts final : public jobs::DatasetSource {
 public:
  // `catalog` must live as long.
  explicit CatalogFacts(views::DatasetCatalog* catalog) : catalog_(catalog) {}

  std::vector<std::string> Names() const override { return catalog_->Names(); }
  std::optional<std::string> Directory(absl::string_view name) const override {
    return catalog_->Directory(std::string(name));
  }
  std::optional<jobs::DatasetFacts> Describe(absl::string_view name) override;
  std::optional<std::string> Checksum(absl::string_view name) override;

 private:
  views::DatasetCatalog* const catalog_;
};

}  // namespace atelier::wiring

#endif  // ATELIER_SERVER_WIRING_CATALOG_FACTS_H_
