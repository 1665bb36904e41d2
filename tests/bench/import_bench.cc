// How fast data sets are imported: makes a source of small pictures, or of an array, imports it and
// prints images, files and bytes a second.
//
//   import_bench --kind=png --images=60000
//   import_bench --kind=npz --images=700000     # of 32x32x3: 2 GB
//   import_bench --source=FILE                  # a file of one's own
#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "models/base/random.h"
#include "models/import/importer.h"
#include "models/pictures/image_codec.h"

ABSL_FLAG(std::string, kind, "png", "what the source is: png (in a tar.gz), zip (of PNG), npz");
ABSL_FLAG(std::string, source, "", "a file to import instead of one that is made");
ABSL_FLAG(int64_t, images, 60'000, "images in the source");
ABSL_FLAG(int64_t, threads, 2, "threads that decode");
ABSL_FLAG(std::string, folder, "/tmp", "where source and data set lie meanwhile");

namespace atelier::models {
namespace {

// Soft blobs at random places on black, as strokes are.
Image RandomImage(int64_t side, int64_t channels, uint64_t seed) {
  RandomStream random(seed, RandomPurpose::kStep);
  constexpr int64_t kBlobs = 4;
  int64_t places[kBlobs][2];
  for (auto& place : places) {
    for (int64_t& at : place)
      at = static_cast<int64_t>(random.NextBelow(static_cast<uint64_t>(side)));
  }
  Image image{side, side, channels, {}};
  for (int64_t i = 0; i < side * side * channels; ++i) {
    const int64_t pixel = i / channels;
    int64_t nearest = side * side;
    for (const auto& [x, y] : places) {
      const int64_t right = pixel % side - x;
      const int64_t down = pixel / side - y;
      nearest = std::min(nearest, right * right + down * down);
    }
    const int64_t value = 255 - 12 * nearest + static_cast<int64_t>(random.NextBelow(16));
    image.pixels.push_back(static_cast<uint8_t>(std::clamp<int64_t>(value, 0, 255)));
  }
  return image;
}

class ArchiveWriter {
 public:
  ArchiveWriter(const std::string& path, bool zip) : archive_(archive_write_new()) {
    if (zip) {
      archive_write_set_format_zip(archive_);
      archive_write_set_options(archive_, "compression=store");
    } else {
      archive_write_set_format_pax_restricted(archive_);
      archive_write_add_filter_gzip(archive_);
      archive_write_set_options(archive_, "gzip:compression-level=1");
    }
    archive_write_open_filename(archive_, path.c_str());
  }
  ~ArchiveWriter() { archive_write_free(archive_); }

  void Begin(const std::string& name, int64_t size) {
    archive_entry* const entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, size);
    archive_write_header(archive_, entry);
    archive_entry_free(entry);
  }
  void Write(const void* bytes, size_t size) { archive_write_data(archive_, bytes, size); }

 private:
  archive* const archive_;
};

void WritePictures(ArchiveWriter* writer, int64_t images) {
  for (int64_t i = 0; i < images; ++i) {
    const std::string png = *EncodePng(RandomImage(28, 1, static_cast<uint64_t>(i)));
    writer->Begin(absl::StrCat(i % 7 == 0 ? "test/" : "train/", i % 10, "/", i, ".png"),
                  static_cast<int64_t>(png.size()));
    writer->Write(png.data(), png.size());
  }
}

void WriteArray(ArchiveWriter* writer, const std::string& name, const std::string& shape,
                int64_t bytes) {
  std::string header =
      absl::StrCat("{'descr': '|u1', 'fortran_order': False, 'shape': (", shape, "), }");
  header.resize(118, ' ');
  header = std::string("\x93NUMPY\1\0", 8) + std::string{118, 0} + header;
  writer->Begin(name, static_cast<int64_t>(header.size()) + bytes);
  writer->Write(header.data(), header.size());
}

void WriteArrays(ArchiveWriter* writer, int64_t images) {
  WriteArray(writer, "images.npy", absl::StrCat(images, ", 32, 32, 3"), images * 3072);
  for (int64_t i = 0; i < images; ++i) {
    const Image image = RandomImage(32, 3, static_cast<uint64_t>(i));
    writer->Write(image.pixels.data(), image.pixels.size());
  }
  WriteArray(writer, "labels.npy", absl::StrCat(images, ","), images);
  for (int64_t i = 0; i < images; ++i) {
    const auto label = static_cast<uint8_t>(i % 10);
    writer->Write(&label, 1);
  }
}

// Imports `source` and prints how long that took and what came out.
int Measure(const std::string& source, const std::string& packed) {
  ImportRun run;
  run.threads = absl::GetFlag(FLAGS_threads);
  const auto start = std::chrono::steady_clock::now();
  const auto report = ImportDataset(source, source, {}, packed, run);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!report.ok()) {
    std::fprintf(stderr, "import_bench: %s\n", std::string(report.status().message()).c_str());
    return 1;
  }
  const auto bytes = static_cast<double>(std::filesystem::file_size(source));
  const auto images = static_cast<double>(report->training.images + report->validation.images +
                                          report->test.images);
  std::printf("%s: %.2f s, %.0f images/s, %.0f MB/s of source, SHA-256 %s\n",
              report->format.c_str(), seconds, images / seconds, bytes / seconds / 1e6,
              report->checksum.c_str());
  for (const std::string& warning : report->warnings) std::printf("  %s\n", warning.c_str());
  return 0;
}

int Main() {
  const std::string kind = absl::GetFlag(FLAGS_kind);
  if (kind != "png" && kind != "zip" && kind != "npz") {
    std::fprintf(stderr, "import_bench: --kind is '%s'; png, zip and npz are possible\n",
                 kind.c_str());
    return 1;
  }
  std::string folder = absl::GetFlag(FLAGS_folder) + "/import-bench-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) {
    std::fprintf(stderr, "import_bench: no folder can be made in %s\n",
                 absl::GetFlag(FLAGS_folder).c_str());
    return 1;
  }
  std::string source = absl::GetFlag(FLAGS_source);
  if (source.empty()) {
    source = folder + "/source";
    const int64_t images = absl::GetFlag(FLAGS_images);
    ArchiveWriter writer(source, kind != "png");
    kind == "npz" ? WriteArrays(&writer, images) : WritePictures(&writer, images);
  }
  const int result = Measure(source, folder + "/packed");
  std::filesystem::remove_all(folder);
  return result;
}

}  // namespace
}  // namespace atelier::models

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("measures how fast data sets are imported");
  absl::ParseCommandLine(argc, argv);
  return atelier::models::Main();
}
