// Tells what kind of source a file is, by its content, and opens it.
#ifndef ATELIER_MODELS_IMPORT_SOURCE_KINDS_H_
#define ATELIER_MODELS_IMPORT_SOURCE_KINDS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "models/import/import_options.h"
#include "models/import/importer.h"
#include "models/import/source.h"

namespace atelier::models {

struct SourceRequest {
  std::string path;
  // What its owner calls it.
  std::string name;
  // What is unpacked meanwhile is named by this and more.
  std::string scratch;
};

// Reads what the source holds but its pixels. kBadData with what it is instead, where it is none of
// the kinds.
absl::StatusOr<std::unique_ptr<Source>> OpenSource(const SourceRequest& request,
                                                   const ImportOptions& options,
                                                   const ImportRun& run,
                                                   UnreadableFiles* unreadable);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_IMPORT_SOURCE_KINDS_H_
