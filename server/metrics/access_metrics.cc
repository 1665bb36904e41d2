#include "server/metrics/access_metrics.h"

#include <string>

namespace atelier::metrics {

AccessMetrics::AccessMetrics(prometheus::Registry* registry)
    : refused_(prometheus::BuildCounter()
                   .Name("atelier_calls_refused_total")
                   .Help("Calls refused for who made them.")
                   .Register(*registry)),
      unusable_(prometheus::BuildGauge()
                    .Name("atelier_access_file_unusable")
                    .Help("1 if the access file changed and what it says now cannot be used.")
                    .Register(*registry)
                    .Add({})),
      lost_(prometheus::BuildCounter()
                .Name("atelier_audit_entries_lost_total")
                .Help("Entries of the audit log that could not be written.")
                .Register(*registry)
                .Add({})) {
  // From the start, so that the first refusal is a rise.
  for (const char* reason :
       {"NO_CREDENTIALS", "UNKNOWN_TOKEN", "UNKNOWN_CERTIFICATE", "ROLE_NEEDED", "NOT_YOURS"}) {
    refused_.Add({{"reason", reason}});
  }
}

void AccessMetrics::Refused(absl::string_view reason) {
  refused_.Add({{"reason", std::string(reason)}}).Increment();
}

void AccessMetrics::AuditEntriesLost(std::size_t count) {
  lost_.Increment(static_cast<double>(count));
}

void AccessMetrics::FileRead(bool usable) { unusable_.Set(usable ? 0 : 1); }

}  // namespace atelier::metrics
