// Pictures whose classes a CSV file beside them tells: a row per picture, with columns named file,
// filename, image, path or id for its path and label, class, category, target or breed for its
// class; a column split, set or subset, or several tables named by splits, tell the split.
#ifndef ATELIER_MODELS_IMPORT_TABLE_SOURCE_H_
#define ATELIER_MODELS_IMPORT_TABLE_SOURCE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "models/base/stop_signal.h"
#include "models/import/listing.h"
#include "models/import/picture_source.h"
#include "models/import/source.h"

namespace atelier::models {

// The source that the archive's tables describe; null if none of them has both columns, so that the
// pictures' folders tell their classes. Rows of pictures that are not there are unreadable.
// kBadData with the line that is wrong. Leaves `listing` alone where it gives null.
absl::StatusOr<std::unique_ptr<PictureSource>> SourceByTable(Listing* listing, OpenArchive open,
                                                             const StopSignal* stop,
                                                             UnreadableFiles* unreadable);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_IMPORT_TABLE_SOURCE_H_
