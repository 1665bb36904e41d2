// CSV files with an image per row: its label and its pixels, as Kaggle distributes MNIST and its
// kin. The label is the column named label, class, target or y, or the first where there are no
// names. Several tables are splits, told by train, val and test in their names. Pixels are whole
// numbers 0 to 255, or floats in [0,1]; square images, of one channel or of three that the axes
// say.
#ifndef ATELIER_MODELS_IMPORT_PIXEL_TABLE_SOURCE_H_
#define ATELIER_MODELS_IMPORT_PIXEL_TABLE_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/base/stop_signal.h"
#include "models/import/label_names.h"
#include "models/import/listing.h"
#include "models/import/npy.h"
#include "models/import/picture_source.h"
#include "models/import/source.h"
#include "models/import/table_reader.h"

namespace atelier::models {

// The split that a table's name tells by a word in it: train.csv, mnist_test.csv.
std::optional<SourceSplit> SplitOfTable(absl::string_view path);

class PixelTableSource final : public Source {
 public:
  // Reads the tables once, for labels and the range of the pixels. kBadData with the line that is
  // wrong; kInvalidSpec if the axes do not fit.
  static absl::StatusOr<std::unique_ptr<PixelTableSource>> Open(const Listing& listing,
                                                                OpenArchive open,
                                                                const ImportOptions& options,
                                                                const StopSignal* stop);

  absl::StatusOr<bool> Next(SourceImage* image) override;
  absl::StatusOr<Image> Decode(const SourceImage& image) const override;
  std::string NameOf(int64_t index) const override;

 private:
  struct Table {
    uint32_t entry = 0;
    std::string name;  // Printable.
    SourceSplit split = SourceSplit::kTraining;
    char separator = ',';
    bool has_names = false;
    size_t columns = 0;
    size_t label_column = 0;
    // Of its first image.
    int64_t first = 0;
  };

  explicit PixelTableSource(OpenArchive open) : open_(std::move(open)) {}

  void FindTables(const Listing& listing);
  absl::Status ReadTables(const StopSignal* stop);
  absl::Status ReadTable(TableReader* reader, Table* table, const StopSignal* stop);
  static absl::Status ReadNames(const std::vector<absl::string_view>& fields, Table* table);
  absl::Status ReadRow(const Table& table, const std::vector<absl::string_view>& fields);
  absl::Status FindShape(const ImportOptions& options);
  absl::Status FindScale();
  const Table& TableOf(int64_t index) const;

  // Constant once opened.
  const OpenArchive open_;
  std::vector<Table> tables_;
  LabelColumn labels_;
  size_t pixels_ = 0;  // Of an image.
  NumberRange range_;
  bool whole_ = true;  // Every pixel is a whole number.
  double scale_ = 1;
  ImageShape shape_;
  bool planar_ = true;

  std::unique_ptr<ArchiveReader> archive_;
  std::unique_ptr<TableReader> reader_;
  uint32_t entry_ = 0;
  int64_t next_ = 0;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_IMPORT_PIXEL_TABLE_SOURCE_H_
