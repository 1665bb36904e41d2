#include "models/import/pixel_table_source.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "models/base/failure.h"
#include "models/import/folder_layout.h"

namespace atelier::models {
namespace {

absl::Status BadData(absl::string_view message) {
  return Failure(FailureReason::kBadData, message);
}

// Most numbers are whole and short.
bool ParseNumber(absl::string_view text, double* number) {
  if (!text.empty() && text.size() <= 3) {
    int value = 0;
    for (const char c : text) {
      if (!absl::ascii_isdigit(c)) return absl::SimpleAtod(text, number);
      value = 10 * value + (c - '0');
    }
    *number = value;
    return true;
  }
  return absl::SimpleAtod(text, number);
}

bool IsLabelName(absl::string_view field) {
  const std::string name = absl::AsciiStrToLower(absl::StripAsciiWhitespace(field));
  return name == "label" || name == "class" || name == "target" || name == "y" || name == "labels";
}

int64_t SideOf(size_t pixels) {
  const auto side = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(pixels))));
  return side * side == static_cast<int64_t>(pixels) ? side : 0;
}

}  // namespace

std::optional<SourceSplit> SplitOfTable(absl::string_view path) {
  const absl::string_view name = path.substr(path.rfind('/') + 1);
  for (const absl::string_view word : absl::StrSplit(name, absl::ByAnyChar("_-. "))) {
    if (const auto split = SplitNamed(word)) return split;
  }
  return std::nullopt;
}

void PixelTableSource::FindTables(const Listing& listing) {
  for (const ListedFile& file : listing.files()) {
    if (file.kind != ListedFile::Kind::kTable) continue;
    Table table;
    table.entry = file.entry;
    table.name = PrintableName(listing.NameOf(file));
    table.split = SplitOfTable(listing.NameOf(file)).value_or(SourceSplit::kTraining);
    tables_.push_back(std::move(table));
  }
}

absl::Status PixelTableSource::ReadNames(const std::vector<absl::string_view>& fields,
                                         Table* table) {
  if (fields.size() < 2) return BadData("it has one column; a label and pixels are needed");
  table->columns = fields.size();
  const auto label = std::find_if(fields.begin(), fields.end(), IsLabelName);
  // The names of pixels may be numbers.
  table->has_names = label != fields.end() ||
                     !std::all_of(fields.begin() + 1, fields.end(), [](absl::string_view field) {
                       double number = 0;
                       return ParseNumber(absl::StripAsciiWhitespace(field), &number);
                     });
  if (!table->has_names) return absl::OkStatus();
  if (label == fields.end()) {
    return BadData(
        "it has no column named label, class, target or y; without labels it cannot be used, leave "
        "it out");
  }
  table->label_column = static_cast<size_t>(label - fields.begin());
  return absl::OkStatus();
}

absl::Status PixelTableSource::ReadRow(const Table& table,
                                       const std::vector<absl::string_view>& fields) {
  if (fields.size() != table.columns) {
    return BadData(
        absl::StrCat("there are ", fields.size(), " columns instead of ", table.columns));
  }
  if (contents_.splits.size() >= static_cast<size_t>(kMaxSourceImages)) {
    return BadData(absl::StrCat("there are more than ", kMaxSourceImages, " images"));
  }
  for (size_t i = 0; i < fields.size(); ++i) {
    if (i == table.label_column) continue;
    double number = 0;
    if (!ParseNumber(fields[i], &number)) {
      return BadData(
          absl::StrCat("column ", i + 1, " is '", PrintableName(fields[i]), "', no number"));
    }
    whole_ &= number == std::floor(number);
    range_.Add(number);
  }
  contents_.splits.push_back(table.split);
  return labels_.Add(fields[table.label_column]);
}

absl::Status PixelTableSource::ReadTable(TableReader* reader, Table* table,
                                         const StopSignal* stop) {
  std::vector<absl::string_view> fields;
  absl::string_view line;
  table->first = static_cast<int64_t>(contents_.splits.size());
  while (true) {
    absl::Status status = CheckStop(stop);
    if (!status.ok()) return status;
    const absl::StatusOr<bool> more = reader->Next(&line);
    if (!more.ok()) return more.status();
    if (!*more) break;
    const bool first = table->columns == 0;
    if (first) table->separator = SeparatorOf(line);
    SplitFields(line, table->separator, &fields);
    if (first) status = ReadNames(fields, table);
    if (status.ok() && !(first && table->has_names)) status = ReadRow(*table, fields);
    if (!status.ok()) {
      return BadData(absl::StrCat("line ", reader->line_number(), ": ", status.message()));
    }
  }
  if (table->columns == 0) return BadData("it is empty");
  if (pixels_ != 0 && pixels_ != table->columns - 1) {
    return BadData(absl::StrCat("its images have ", table->columns - 1, " pixels, those of ",
                                tables_[0].name, " have ", pixels_));
  }
  pixels_ = table->columns - 1;
  return absl::OkStatus();
}

absl::Status PixelTableSource::ReadTables(const StopSignal* stop) {
  absl::StatusOr<std::unique_ptr<ArchiveReader>> archive = open_();
  if (!archive.ok()) return archive.status();
  for (Table& table : tables_) {
    if (absl::Status status = (*archive)->SkipTo(table.entry); !status.ok()) return status;
    TableReader reader(archive->get());
    const absl::Status status = ReadTable(&reader, &table, stop);
    if (ReasonOf(status.ok() ? absl::UnknownError("") : status) == FailureReason::kBadData) {
      return BadData(absl::StrCat(table.name, ": ", status.message()));
    }
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status PixelTableSource::FindShape(const ImportOptions& options) {
  const auto pixels = static_cast<int64_t>(pixels_);
  if (options.size && options.size->height * options.size->width == pixels) {
    shape_ = {1, options.size->height, options.size->width};
  } else if (const int64_t side = SideOf(pixels_); side > 0) {
    shape_ = {1, side, side};
  } else if (const int64_t coloured = pixels % 3 == 0 ? SideOf(pixels_ / 3) : 0; coloured > 0) {
    if (options.axes != ImportOptions::Axes::kNhwc && options.axes != ImportOptions::Axes::kNchw) {
      return Failure(
          FailureReason::kInvalidSpec,
          absl::StrCat("rows of ", pixels, " pixels are images of ", coloured, "x", coloured,
                       " with three channels; say whether these lie side by "
                       "side (--axes NHWC) or one after the other (--axes "
                       "NCHW)"));
    }
    shape_ = {3, coloured, coloured};
    planar_ = options.axes == ImportOptions::Axes::kNchw;
  } else {
    return BadData(absl::StrCat("its rows have ", pixels,
                                " pixels, which make no square image; say the size of the images "
                                "by --size HxW"));
  }
  if (shape_.height > kPictureLimits.max_side || shape_.width > kPictureLimits.max_side) {
    return BadData(absl::StrCat("its images are ", shape_.height, "x", shape_.width, "; at most ",
                                kPictureLimits.max_side, " pixels a side are accepted"));
  }
  contents_.size = {shape_.height, shape_.width};
  contents_.colour = shape_.channels == 3;
  return absl::OkStatus();
}

absl::Status PixelTableSource::FindScale() {
  if (!range_.any) return BadData("it has no images");
  if (!range_.finite || range_.low < 0 || range_.high > 255) {
    return BadData(absl::StrCat("its pixels are ", range_.low, " to ", range_.high,
                                "; whole numbers 0 to 255 or floats 0 to 1 are read"));
  }
  if (!whole_ && range_.high <= 1) scale_ = 255;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<PixelTableSource>> PixelTableSource::Open(
    const Listing& listing, OpenArchive open, const ImportOptions& options,
    const StopSignal* stop) {
  std::unique_ptr<PixelTableSource> source(new PixelTableSource(std::move(open)));
  source->FindTables(listing);
  absl::Status status = source->ReadTables(stop);
  if (status.ok()) status = source->FindShape(options);
  if (status.ok()) status = source->FindScale();
  if (status.ok()) status = source->labels_.Finish(&source->contents_);
  if (!status.ok()) return status;
  source->contents_.format = "a CSV row per image";
  return source;
}

const PixelTableSource::Table& PixelTableSource::TableOf(int64_t index) const {
  const auto after = std::find_if(tables_.begin(), tables_.end(),
                                  [index](const Table& table) { return table.first > index; });
  return *(after - 1);
}

absl::StatusOr<bool> PixelTableSource::Next(SourceImage* image) {
  if (archive_ == nullptr) {
    absl::StatusOr<std::unique_ptr<ArchiveReader>> archive = open_();
    if (!archive.ok()) return archive.status();
    archive_ = *std::move(archive);
  }
  absl::string_view line;
  while (true) {
    if (reader_ != nullptr) {
      const absl::StatusOr<bool> more = reader_->Next(&line);
      if (!more.ok()) return more.status();
      if (*more) break;
      reader_.reset();
    }
    const absl::StatusOr<const ArchiveEntry*> entry = archive_->Next();
    if (!entry.ok()) return entry.status();
    if (*entry == nullptr) return false;
    const auto table = std::find_if(tables_.begin(), tables_.end(),
                                    [&](const Table& one) { return one.entry == entry_; });
    ++entry_;
    if (table == tables_.end()) continue;
    reader_ = std::make_unique<TableReader>(archive_.get());
    if (!table->has_names) continue;
    if (const auto names = reader_->Next(&line); !names.ok()) return names;
  }
  image->index = next_++;
  image->bytes = std::string(line);
  return true;
}

absl::StatusOr<Image> PixelTableSource::Decode(const SourceImage& image) const {
  const Table& table = TableOf(image.index);
  std::vector<absl::string_view> fields;
  SplitFields(image.bytes, table.separator, &fields);
  std::vector<uint8_t> pixels;
  pixels.reserve(pixels_);
  for (size_t i = 0; i < fields.size(); ++i) {
    double number = 0;
    if (i == table.label_column) continue;
    if (!ParseNumber(fields[i], &number)) return absl::InvalidArgumentError("it is no number");
    pixels.push_back(static_cast<uint8_t>(std::clamp(number * scale_ + 0.5, 0.0, 255.0)));
  }
  if (pixels.size() != pixels_) return absl::InvalidArgumentError("it lacks pixels");
  if (planar_) return FromPlanar(shape_, pixels);
  return Image{shape_.height, shape_.width, shape_.channels, std::move(pixels)};
}

std::string PixelTableSource::NameOf(int64_t index) const {
  const Table& table = TableOf(index);
  return absl::StrCat("image ", index - table.first, " of ", table.name);
}

}  // namespace atelier::models
