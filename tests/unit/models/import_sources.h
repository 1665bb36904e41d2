// Sources for imports, made for tests, and one import of them.
#ifndef ATELIER_TESTS_UNIT_MODELS_IMPORT_SOURCES_H_
#define ATELIER_TESTS_UNIT_MODELS_IMPORT_SOURCES_H_

#include <archive.h>
#include <archive_entry.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/base/failure.h"
#include "models/data/dataset.h"
#include "models/data/dataset_file.h"
#include "models/import/importer.h"
#include "models/pictures/image_codec.h"
#include "tests/unit/models/temporary_folder.h"

namespace atelier::models {

// An entry of an archive: a plain file unless `type` says otherwise.
struct SourceFile {
  std::string path;
  std::string bytes;
  unsigned type = AE_IFREG;
};

enum class ArchiveFormat { kTar, kTarGz, kZip, kStoredZip };

inline std::string PackArchive(ArchiveFormat format, const std::vector<SourceFile>& files) {
  std::string packed;
  archive* const a = archive_write_new();
  if (format == ArchiveFormat::kTar || format == ArchiveFormat::kTarGz) {
    archive_write_set_format_pax_restricted(a);
    if (format == ArchiveFormat::kTarGz) archive_write_add_filter_gzip(a);
  } else {
    archive_write_set_format_zip(a);
    archive_write_set_options(
        a, format == ArchiveFormat::kZip ? "compression=deflate" : "compression=store");
  }
  archive_write_set_bytes_in_last_block(a, 1);
  archive_write_open(
      a, &packed, nullptr,
      [](archive*, void* to, const void* data, size_t size) {
        static_cast<std::string*>(to)->append(static_cast<const char*>(data), size);
        return static_cast<la_ssize_t>(size);
      },
      nullptr);
  for (const SourceFile& file : files) {
    archive_entry* const entry = archive_entry_new();
    archive_entry_set_pathname(entry, file.path.c_str());
    archive_entry_set_filetype(entry, file.type);
    archive_entry_set_perm(entry, 0644);
    if (file.type == AE_IFLNK) archive_entry_set_symlink(entry, file.bytes.c_str());
    const bool plain = file.type == AE_IFREG;
    archive_entry_set_size(entry, plain ? static_cast<la_int64_t>(file.bytes.size()) : 0);
    // Warned of are names that the locale cannot show.
    const int result = archive_write_header(a, entry);
    EXPECT_TRUE(result == ARCHIVE_OK || result == ARCHIVE_WARN) << archive_error_string(a);
    if (plain) archive_write_data(a, file.bytes.data(), file.bytes.size());
    archive_entry_free(entry);
  }
  EXPECT_EQ(archive_write_close(a), ARCHIVE_OK) << archive_error_string(a);
  archive_write_free(a);
  return packed;
}

// A picture whose pixels differ by `seed`.
inline Image NumberedImage(int64_t height, int64_t width, int64_t channels, int seed) {
  Image image{height, width, channels, {}};
  uint32_t state = static_cast<uint32_t>(seed) * 2654435761u + 1;
  for (int64_t i = 0; i < height * width * channels; ++i) {
    state = state * 1664525u + 1013904223u;
    image.pixels.push_back(static_cast<uint8_t>(state >> 24));
  }
  return image;
}

inline std::string NumberedPng(int seed, int64_t height = 6, int64_t width = 5,
                               int64_t channels = 1) {
  return *EncodePng(NumberedImage(height, width, channels, seed));
}

// Two classes with training and test images, all different.
inline std::vector<SourceFile> TwoClasses() {
  std::vector<SourceFile> files;
  for (int i = 0; i < 8; ++i) {
    files.push_back(
        {absl::StrCat("data/train/", i % 2 == 0 ? "cat" : "dog", "/", i, ".png"), NumberedPng(i)});
  }
  files.push_back({"data/test/cat/8.png", NumberedPng(8)});
  files.push_back({"data/test/dog/9.png", NumberedPng(9)});
  return files;
}

// Imports sources that lie in a folder of its own.
class ImportTest : public testing::Test {
 protected:
  struct Imported {
    ImportReport report;
    std::shared_ptr<const Dataset> dataset;
  };

  absl::StatusOr<Imported> Import(const std::string& name, const std::string& bytes) {
    folder_.Write("source", bytes);
    const std::string output = folder_.File(absl::StrCat("packed-", ++imports_));
    absl::StatusOr<ImportReport> report =
        ImportDataset(folder_.File("source"), name, options_, output, run_);
    if (!report.ok()) {
      // Nothing is left of an import that failed.
      for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
        EXPECT_THAT(entry.path().string(), testing::Not(testing::StartsWith(output)));
      }
      return report.status();
    }
    const absl::StatusOr<DatasetFile> file = DatasetFile::Open(output);
    if (!file.ok()) return file.status();
    // Compares the bytes with their checksum.
    absl::StatusOr<std::shared_ptr<const Dataset>> dataset = file->Map();
    if (!dataset.ok()) return dataset.status();
    EXPECT_EQ((*dataset)->checksum(), report->checksum);
    EXPECT_EQ((*dataset)->warnings(), report->warnings);
    return Imported{*std::move(report), *std::move(dataset)};
  }
  absl::StatusOr<Imported> Import(const std::vector<SourceFile>& files,
                                  ArchiveFormat format = ArchiveFormat::kTar) {
    return Import("source.tar", PackArchive(format, files));
  }
  // It has to succeed; else the test ends.
  Imported Imports(const std::vector<SourceFile>& files,
                   ArchiveFormat format = ArchiveFormat::kTar) {
    absl::StatusOr<Imported> imported = Import(files, format);
    if (!imported.ok()) throw std::runtime_error(imported.status().ToString());
    return *std::move(imported);
  }
  void ExpectRefused(const absl::StatusOr<Imported>& imported, const std::string& message,
                     FailureReason reason = FailureReason::kBadData) {
    ASSERT_FALSE(imported.ok());
    EXPECT_EQ(ReasonOf(imported.status()), reason) << imported.status();
    EXPECT_THAT(std::string(imported.status().message()), testing::HasSubstr(message));
  }
  static std::vector<uint8_t> Pixels(const Imported& imported, SplitName split, int64_t index) {
    const auto image = imported.dataset->Image(split, index);
    return {image.begin(), image.end()};
  }

  TemporaryFolder folder_;
  ImportOptions options_;
  ImportRun run_;

 private:
  int imports_ = 0;
};

}  // namespace atelier::models

#endif  // ATELIER_TESTS_UNIT_MODELS_IMPORT_SOURCES_H_
