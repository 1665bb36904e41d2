// What every kind of source looks like to an import: images with labels, each in a split, whose
// bytes come one after the other. Sources are opened by source_kinds.h.
#ifndef ATELIER_MODELS_IMPORT_SOURCE_H_
#define ATELIER_MODELS_IMPORT_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/base/class_label.h"
#include "models/import/import_options.h"
#include "models/import/importer.h"
#include "models/pictures/image_codec.h"

namespace atelier::models {

// Images that a source may have.
inline constexpr int64_t kMaxSourceImages = int64_t{1} << 22;

enum class SourceSplit : uint8_t { kTraining, kValidation, kTest };

// Everything but the pixels.
struct SourceContents {
  // See ImportReport.
  std::string format;
  // Of every image, in the order that the data set will have within a split.
  std::vector<ClassLabel> labels;
  std::vector<SourceSplit> splits;
  // Of every label. `named` if the source names them; else they are the labels as numbers.
  std::vector<std::string> class_names;
  bool named = false;
  // Of most images.
  ImportOptions::Size size;
  // Images of other sizes.
  int64_t other_sizes = 0;
  // Some image has colours.
  bool colour = false;
  // Sentences.
  std::vector<std::string> warnings;
};

struct SourceImage {
  int64_t index = 0;
  // For Source::Decode.
  std::string bytes;
};

class Source {
 public:
  virtual ~Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  const SourceContents& contents() const { return contents_; }
  // To be taken once.
  SourceContents TakeContents() { return std::move(contents_); }

  // The next image, in an order of the source's own; false after the last. One call at a time.
  // kInvalidArgument if this image alone cannot be read (`index` is set then); kBadData if nothing
  // more can be.
  virtual absl::StatusOr<bool> Next(SourceImage* image) = 0;
  // kInvalidArgument if it cannot be decoded. Thread-safe.
  virtual absl::StatusOr<Image> Decode(const SourceImage& image) const = 0;
  // Where the image is in the source, printable. Thread-safe.
  virtual std::string NameOf(int64_t index) const = 0;

 protected:
  Source() = default;

  SourceContents contents_;
};

// The files of a source that cannot be read. Not thread-safe.
class UnreadableFiles {
 public:
  void Add(std::string name, absl::string_view reason);
  int64_t count() const { return count_; }
  const std::vector<UnreadableFile>& first() const { return first_; }
  // kBadData if they are too many beside `images` that there are in all: more than 1 % and either
  // more than 100 or a fifth.
  absl::Status Check(int64_t images) const;

 private:
  int64_t count_ = 0;
  std::vector<UnreadableFile> first_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_IMPORT_SOURCE_H_
