// Which way up a picture was taken, by the EXIF data of its file. Thread-safe: free functions.
#ifndef ATELIER_MODELS_PICTURES_EXIF_H_
#define ATELIER_MODELS_PICTURES_EXIF_H_

#include "absl/strings/string_view.h"

namespace atelier::models {

// The orientation (tag 0x0112, 1 to 8) in EXIF data, which begins with TIFF's header: `II*\0` or
// `MM\0*`. 1, upright, where there is none, or where the data is damaged: EXIF is a hint, and
// pictures with bad hints are shown everywhere.
int ExifOrientation(absl::string_view tiff);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_PICTURES_EXIF_H_
