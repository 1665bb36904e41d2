#include "server/metrics/object_metrics.h"

#include "server/metrics/plain_gauge.h"

namespace atelier::metrics {

ObjectMetrics::ObjectMetrics(prometheus::Registry* registry)
    : operations_(prometheus::BuildCounter()
                      .Name("atelier_object_operations_total")
                      .Help("Tries to move files to the object store and back.")
                      .Register(*registry)),
      bytes_(prometheus::BuildCounter()
                 .Name("atelier_object_bytes_total")
                 .Help("Bytes of the files that were moved to the object store and back.")
                 .Register(*registry)),
      uploads_{operations_.Add({{"operation", "upload"}, {"result", "done"}}),
               operations_.Add({{"operation", "upload"}, {"result", "failed"}})},
      fetches_{operations_.Add({{"operation", "fetch"}, {"result", "done"}}),
               operations_.Add({{"operation", "fetch"}, {"result", "failed"}})},
      removals_{operations_.Add({{"operation", "removal"}, {"result", "done"}}),
                operations_.Add({{"operation", "removal"}, {"result", "failed"}})},
      uploaded_bytes_(bytes_.Add({{"direction", "up"}})),
      fetched_bytes_(bytes_.Add({{"direction", "down"}})),
      pending_(AddGauge(registry, "atelier_objects_pending",
                        "Files that are still to be uploaded to the object store.")),
      pending_bytes_(AddGauge(registry, "atelier_objects_pending_bytes", "Bytes of those files.")),
      cached_(AddGauge(registry, "atelier_object_cache_bytes",
                       "Bytes of local files that are in the object store as well.")) {}

ObjectMetrics::Kind& ObjectMetrics::KindOf(objects::ObjectWork work) {
  if (work == objects::ObjectWork::kUpload) return uploads_;
  return work == objects::ObjectWork::kFetch ? fetches_ : removals_;
}

void ObjectMetrics::Worked(objects::ObjectWork work, bool ok, std::int64_t bytes) {
  Kind& kind = KindOf(work);
  (ok ? kind.worked : kind.failed).Increment();
  if (!ok || work == objects::ObjectWork::kRemoval) return;
  prometheus::Counter& moved =
      work == objects::ObjectWork::kUpload ? uploaded_bytes_ : fetched_bytes_;
  moved.Increment(static_cast<double>(bytes));
}

void ObjectMetrics::Pending(std::int64_t objects, std::int64_t bytes) {
  pending_.Set(static_cast<double>(objects));
  pending_bytes_.Set(static_cast<double>(bytes));
}

}  // namespace atelier::metrics
