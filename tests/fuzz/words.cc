// Short texts that people and programs send: durations, sizes, names of resources, page tokens,
// URLs, the access file.
#include "proto/access/access_file.h"
#include "proto/flags/duration.h"
#include "proto/flags/size.h"
#include "server/jobs/notify_url.h"
#include "server/jobs/page_token.h"
#include "server/jobs/resource_names.h"
#include "tests/fuzz/input.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text = atelier::fuzz::Text(data, size);
  (void)atelier::flags::ParseDuration(text);
  (void)atelier::flags::ParseSize(text);
  (void)atelier::jobs::ParseJobName(text);
  (void)atelier::jobs::ParseExperimentName(text);
  (void)atelier::jobs::ParseModelName(text);
  (void)atelier::jobs::ParseDatasetName(text);
  (void)atelier::jobs::ParseUploadName(text);
  (void)atelier::jobs::ReadPageToken("scope", text);
  (void)atelier::jobs::NotifyUrlProblem(text);
  (void)atelier::access::ParseAccessFile(text);
  (void)atelier::access::ParseLimits(text);
  (void)atelier::access::WithoutToken(text, "name");
  return 0;
}
