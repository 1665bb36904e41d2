// How fast a file goes to an S3-compatible store and comes back, as atelierd moves it: in parts,
// each with its digests, verified. Credentials as atelierd finds them.
#include <cstdint>
#include <cstdio>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/time/clock.h"
#include "server/base/system_clock.h"
#include "server/http/curl_transport.h"
#include "server/objects/object_transfer.h"
#include "server/objects/s3_client.h"
#include "server/objects/s3_options.h"

ABSL_FLAG(std::string, artifacts, "", "As atelierd's: s3://BUCKET/PREFIX.");
ABSL_FLAG(std::string, s3_endpoint, "", "As atelierd's.");
ABSL_FLAG(std::string, file, "", "The file that is uploaded, as the object `bench`.");
ABSL_FLAG(std::string, back, "", "Where it is written to when it comes back.");

namespace atelier::objects {
namespace {

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "object_bench: %s\n", status.ToString().c_str());
  return 1;
}

void Print(const char* what, std::int64_t bytes, absl::Duration time) {
  std::printf("%s: %.1f MB in %.2f s, %.0f MB/s\n", what, static_cast<double>(bytes) / 1e6,
              absl::ToDoubleSeconds(time),
              static_cast<double>(bytes) / 1e6 / absl::ToDoubleSeconds(time));
}

int Run() {
  const auto s3 =
      S3Options::Create(absl::GetFlag(FLAGS_artifacts),
                        {{"s3_endpoint", absl::GetFlag(FLAGS_s3_endpoint)}}, &ProcessEnvironment);
  if (!s3.ok()) return Fail(s3.status());
  SystemClock clock;
  http::CurlTransport transport({});
  S3Client client(*s3, &transport, &clock, &ProcessEnvironment);
  ObjectTransfer transfer(&client);
  absl::Time began = absl::Now();
  jobs::ObjectRecord record;
  record.path = record.key = "bench";
  const auto stored =
      transfer.Upload(record, absl::GetFlag(FLAGS_file),
                      [](const std::string& /*upload*/) { return absl::OkStatus(); });
  if (!stored.ok()) return Fail(stored.status());
  Print("upload", stored->size_bytes, absl::Now() - began);
  began = absl::Now();
  if (auto back = transfer.Fetch(*stored, absl::GetFlag(FLAGS_back)); !back.ok()) return Fail(back);
  Print("fetch", stored->size_bytes, absl::Now() - began);
  return 0;
}

}  // namespace
}  // namespace atelier::objects

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Uploads a file to an object store and fetches it back.");
  absl::ParseCommandLine(argc, argv);
  return atelier::objects::Run();
}
