// The catalogue of data sets as the job controller wants to see it.
#ifndef ATELIER_SERVER_RPC_CATALOG_FACTS_H_
#define ATELIER_SERVER_RPC_CATALOG_FACTS_H_

#include <optional>
#include <string>
#include <vector>

#include "server/jobs/dataset_source.h"
#include "server/serving/dataset_catalog.h"

namespace atelier::rpc {

// Thread-safe.
class CatalogFacts final : public jobs::DatasetSource {
 public:
  // `catalog` must live as long.
  explicit CatalogFacts(serving::DatasetCatalog* catalog) : catalog_(catalog) {}

  std::vector<std::string> Names() const override { return catalog_->Names(); }
  std::optional<std::string> Directory(absl::string_view name) const override {
    return catalog_->Directory(std::string(name));
  }
  std::optional<jobs::DatasetFacts> Describe(absl::string_view name) override;

 private:
  serving::DatasetCatalog* const catalog_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_CATALOG_FACTS_H_
