// The data sets of the server's flags and those that clients pushed, as the job controller wants to
// see them. A plain name means that of a flag first.
#ifndef ATELIER_SERVER_WIRING_CATALOG_FACTS_H_
#define ATELIER_SERVER_WIRING_CATALOG_FACTS_H_

#include <optional>
#include <string>
#include <vector>

#include "server/jobs/artifact_store.h"
#include "server/jobs/dataset_source.h"
#include "server/jobs/dataset_store.h"
#include "server/views/dataset_catalog.h"

namespace atelier::wiring {

// Thread-safe.
class CatalogFacts final : public jobs::DatasetSource {
 public:
  // All must live as long.
  CatalogFacts(views::DatasetCatalog* catalog, jobs::DatasetStore* pushed,
               jobs::ArtifactStore* artifacts)
      : catalog_(catalog), pushed_(pushed), artifacts_(artifacts) {}

  std::vector<std::string> Names() const override;
  absl::StatusOr<jobs::DatasetPlace> Find(absl::string_view reference) const override;
  absl::StatusOr<jobs::DatasetFacts> Describe(absl::string_view reference) override;
  std::optional<std::string> Checksum(absl::string_view reference) override;

 private:
  jobs::DatasetFacts DescribeFolder(const std::string& name);

  views::DatasetCatalog* const catalog_;
  jobs::DatasetStore* const pushed_;
  jobs::ArtifactStore* const artifacts_;
};

}  // namespace atelier::wiring

#endif  // ATELIER_SERVER_WIRING_CATALOG_FACTS_H_
