#include "client/commands/dataset_text.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/calls/arguments.h"
#include "client/following/job_text.h"
#include "client/terminal/display_text.h"
#include "client/terminal/figures.h"
#include "client/terminal/table.h"

namespace atelier::client {
namespace {

using Align = Table::Align;

constexpr int kBar = 20;

std::string Fractions(const google::protobuf::RepeatedField<double>& values) {
  return absl::StrJoin(values, ", ", [](std::string* text, double value) {
    absl::StrAppend(text, absl::StrFormat("%.4f", value));
  });
}

std::string Splits(const v1::Dataset& dataset) {
  std::string text = absl::StrCat(Count(dataset.training_images()), " training, ");
  if (dataset.validation_images() > 0) {
    absl::StrAppend(&text, Count(dataset.validation_images()), " validation, ");
  }
  return absl::StrCat(text, Count(dataset.test_images()), " test");
}

std::string OptionsText(const v1::ImportOptions& options) {
  std::vector<std::string> words;
  if (options.height() > 0) words.push_back(absl::StrCat(options.height(), "×", options.width()));
  if (options.color() > v1::IMPORT_COLOR_AUTO) {
    words.push_back(EnumWord(v1::ImportColor_descriptor(), options.color()));
  }
  if (options.fit() > v1::IMPORT_FIT_PAD) {
    words.push_back(EnumWord(v1::ImportFit_descriptor(), options.fit()));
  }
  if (options.invert()) words.emplace_back("inverted");
  if (options.axes() > v1::ARRAY_AXES_AUTO) {
    words.push_back(EnumWord(v1::ArrayAxes_descriptor(), options.axes()));
  }
  if (options.test_fraction() > 0) {
    words.push_back(absl::StrCat(Percent(options.test_fraction(), 0), " for the test"));
  }
  if (options.validation_fraction() > 0) {
    words.push_back(absl::StrCat(Percent(options.validation_fraction(), 0), " for validation"));
  }
  return words.empty() ? "" : absl::StrCat("; ", absl::StrJoin(words, ", "));
}

Table Facts(const v1::Dataset& dataset) {
  Table table({{""}, {""}});
  const auto add = [&](const char* title, const std::string& value) {
    if (!value.empty()) table.AddRow({{absl::StrCat("  ", title), Ink::kDim}, value});
  };
  add("images", absl::StrCat(Splits(dataset), "; ", ShapeText(dataset.image_shape())));
  if (dataset.size_bytes() > 0) add("size", Bytes(dataset.size_bytes()));
  add("mean", Fractions(dataset.channel_mean()));
  add("deviation", Fractions(dataset.channel_deviation()));
  add("checksum", dataset.checksum());
  if (dataset.version() == 0) return table;
  const v1::DatasetSource& source = dataset.source();
  add("source", absl::StrCat(source.name(), ", ", Bytes(source.size_bytes()), ", SHA-256 ",
                             source.sha256().substr(0, 12)));
  add("format", absl::StrCat(source.format(), OptionsText(source.options())));
  if (dataset.unreadable_count() > 0) {
    add("left out", absl::StrCat(Count(dataset.unreadable_count(), "unreadable file")));
  }
  add("made", absl::StrCat(DateTime(ToTime(dataset.create_time())), " by ", Leaf(dataset.job()),
                           dataset.creator().empty() ? "" : " for ", dataset.creator()));
  if (dataset.versions_size() > 1) add("versions", absl::StrJoin(dataset.versions(), ", "));
  return table;
}

// What classes are ordered and drawn by: their training images, or test images where there are no
// others.
std::int64_t MainCount(const v1::Dataset& dataset, const v1::ClassCounts& counts) {
  return dataset.training_images() > 0 ? counts.training_images() : counts.test_images();
}

Table Classes(const v1::Dataset& dataset, const std::vector<int>& shown) {
  const bool validation = dataset.validation_images() > 0;
  std::vector<Table::Column> columns = {
      {"  class"}, {"training", Align::kRight}, {"", Align::kLeft, true}};
  if (validation) columns.push_back({"validation", Align::kRight});
  columns.push_back({"test", Align::kRight});
  Table table(columns);
  std::int64_t most = 1;
  for (const v1::ClassCounts& counts : dataset.class_counts()) {
    most = std::max(most, MainCount(dataset, counts));
  }
  for (const int i : shown) {
    const v1::ClassCounts& counts = dataset.class_counts(i);
    const auto filled = static_cast<int>(std::lround(
        static_cast<double>(MainCount(dataset, counts) * kBar) / static_cast<double>(most)));
    std::string bar;
    for (int part = 0; part < filled; ++part) bar += "█";
    std::vector<Table::Cell> row = {absl::StrCat("  ", dataset.class_names(i)),
                                    Count(counts.training_images()),
                                    {bar, Ink::kCyan}};
    if (validation) row.emplace_back(Count(counts.validation_images()));
    row.emplace_back(Count(counts.test_images()));
    table.AddRow(std::move(row));
  }
  return table;
}

std::string ClassesText(const v1::Dataset& dataset, bool all, const Style& style, int width) {
  const int classes = dataset.class_names_size();
  if (dataset.class_counts_size() != classes) {
    return absl::StrCat(
        "  ", all ? absl::StrJoin(dataset.class_names(), ", ") : NameList(dataset.class_names()),
        "\n");
  }
  const std::vector<int> shown = ShownClasses(
      classes, all, [&](int i) { return MainCount(dataset, dataset.class_counts(i)); });
  std::string text = Classes(dataset, shown).Render(style, width);
  if (static_cast<int>(shown.size()) < classes) {
    absl::StrAppend(
        &text, "  ",
        style.Paint(Ink::kDim, absl::StrCat("The ", shown.size(), " smallest of ", Count(classes),
                                            " classes; --classes shows all.")),
        "\n");
  }
  return text;
}

}  // namespace

std::string ShapeText(const v1::ImageShape& shape) {
  return absl::StrCat(shape.height(), "×", shape.width(), "×", shape.channels());
}

std::string DatasetText(const v1::Dataset& dataset, bool all_classes, const Style& style,
                        int width) {
  std::string text = absl::StrCat(style.Paint(Ink::kBold, ShortDataset(dataset.name())), "\n");
  if (!dataset.problem().empty()) {
    return absl::StrCat(text, "  ", style.Paint(Ink::kRed, "unusable: " + dataset.problem()), "\n");
  }
  absl::StrAppend(&text, Facts(dataset).Render(style, width));
  absl::StrAppend(&text, "\n", ClassesText(dataset, all_classes, style, width));
  return text + NotesText(dataset.warnings(), style);
}

std::string DatasetClassesCsv(const v1::Dataset& dataset) {
  std::string csv = CsvLine({"class", "training_images", "validation_images", "test_images"});
  for (int i = 0; i < dataset.class_names_size(); ++i) {
    std::vector<std::string> values = {dataset.class_names(i)};
    // Not counted for the data sets of a folder that is read for the first time.
    if (i < dataset.class_counts_size()) {
      const v1::ClassCounts& counts = dataset.class_counts(i);
      for (const std::int64_t images :
           {counts.training_images(), counts.validation_images(), counts.test_images()}) {
        values.push_back(absl::StrCat(images));
      }
    }
    values.resize(4);
    csv += CsvLine(values);
  }
  return csv;
}

std::vector<std::string> DatasetCsvNames() {
  return {"name",        "training_images",   "test_images", "channels",  "height",  "width",
          "classes",     "problem",           "checksum",    "warnings",  "version", "source",
          "create_time", "validation_images", "size_bytes",  "unreadable"};
}

std::vector<std::string> DatasetCsvValues(const v1::Dataset& dataset) {
  const v1::ImageShape& shape = dataset.image_shape();
  return {dataset.name(),
          absl::StrCat(dataset.training_images()),
          absl::StrCat(dataset.test_images()),
          absl::StrCat(shape.channels()),
          absl::StrCat(shape.height()),
          absl::StrCat(shape.width()),
          absl::StrCat(dataset.class_names_size()),
          dataset.problem(),
          dataset.checksum(),
          absl::StrJoin(dataset.warnings(), " "),
          dataset.version() == 0 ? "" : absl::StrCat(dataset.version()),
          dataset.source().name(),
          dataset.has_create_time() ? DateTime(ToTime(dataset.create_time())) : "",
          absl::StrCat(dataset.validation_images()),
          absl::StrCat(dataset.size_bytes()),
          absl::StrCat(dataset.unreadable_count())};
}

}  // namespace atelier::client
