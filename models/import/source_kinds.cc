#include "models/import/source_kinds.h"

#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "models/base/failure.h"
#include "models/files/archive_reader.h"
#include "models/files/known_formats.h"
#include "models/files/regular_file.h"
#include "models/import/array_source.h"
#include "models/import/cifar_source.h"
#include "models/import/idx_source.h"
#include "models/import/listing.h"
#include "models/import/picture_source.h"
#include "models/import/pixel_table_source.h"
#include "models/import/table_source.h"
#include "models/pictures/image_codec.h"

namespace atelier::models {
namespace {

using Kind = ListedFile::Kind;
using Packing = ArchiveReader::Packing;

constexpr size_t kBeginning = 1024;
constexpr size_t kTarBlock = 512;
constexpr size_t kNamed = 3;

absl::Status BadData(absl::string_view message) {
  return Failure(FailureReason::kBadData, message);
}

// The first bytes of what a file holds once it is unpacked, should it be gzipped.
absl::StatusOr<std::string> ReadBeginning(const std::string& path) {
  absl::StatusOr<RegularFile> file = RegularFile::Open(path);
  if (!file.ok()) return Failure(FailureReason::kInternal, file.status().message());
  if (file->size() == 0) return BadData("it is empty (zero bytes)");
  const gzFile stream = gzdopen(file->descriptor(), "rb");
  if (stream == nullptr) return Failure(FailureReason::kOutOfMemory, "there is no memory left");
  file->Release();
  std::string beginning(kBeginning, '\0');
  const int got = gzread(stream, beginning.data(), static_cast<unsigned>(beginning.size()));
  gzclose_r(stream);
  if (got < 0) return BadData("it begins as a gzip file, but cannot be unpacked");
  beginning.resize(static_cast<size_t>(got));
  return beginning;
}

// By the checksum of its first header, which every kind of tar has.
bool IsTar(absl::string_view beginning) {
  if (beginning.size() < kTarBlock) return false;
  constexpr size_t kChecksumAt = 148;
  constexpr size_t kChecksumBytes = 8;
  uint32_t sum = 0;
  for (size_t i = 0; i < kTarBlock; ++i) {
    const bool is_checksum = i >= kChecksumAt && i < kChecksumAt + kChecksumBytes;
    sum += is_checksum ? ' ' : static_cast<uint8_t>(beginning[i]);
  }
  uint32_t written = 0;
  size_t at = kChecksumAt;
  while (beginning[at] == ' ') ++at;
  for (; beginning[at] >= '0' && beginning[at] <= '7' && at < kChecksumAt + kChecksumBytes; ++at) {
    written = written * 8 + static_cast<uint32_t>(beginning[at] - '0');
  }
  return sum == written && sum != kChecksumBytes * ' ';
}

absl::StatusOr<Packing> PackingOf(absl::string_view beginning) {
  if (absl::StartsWith(beginning, "PK\x03\x04")) return Packing::kZip;
  if (absl::StartsWith(beginning, "PK\x05\x06")) return BadData("it is an empty zip archive");
  if (IsTar(beginning)) return Packing::kTar;
  const absl::string_view known = KnownByBeginning(beginning);
  if (!known.empty()) return BadData(known);
  if (BeginsAsPicture(beginning)) {
    return BadData("it is a single picture; a data set is a folder per class of them");
  }
  return Packing::kSingle;
}

// What there is instead of a data set.
absl::Status NothingFound(const Listing& listing) {
  constexpr absl::string_view kKinds =
      "pictures (PNG, JPEG, WebP) in a folder per class, the four IDX files, NumPy arrays (.npz, "
      ".npy), CIFAR's binary files or a CSV file of pixels";
  if (!listing.hint().empty()) {
    return BadData(absl::StrCat("it holds no data set that can be read (", listing.hint(),
                                "); expected are ", kKinds));
  }
  std::vector<std::string> names;
  for (const ListedFile& file : listing.files()) {
    if (names.size() == kNamed) break;
    names.push_back(PrintableName(listing.NameOf(file)));
  }
  return BadData(absl::StrCat("it holds no data set that can be read (",
                              names.empty() ? "no files" : absl::StrJoin(names, ", "),
                              listing.files().size() > kNamed ? ", …" : "", "); expected are ",
                              kKinds));
}

absl::StatusOr<std::unique_ptr<Source>> OpenListed(Listing listing, const OpenArchive& open,
                                                   const SourceRequest& request,
                                                   const ImportOptions& options,
                                                   const ImportRun& run,
                                                   UnreadableFiles* unreadable) {
  const int64_t pictures = listing.Count(Kind::kPicture) + listing.Count(Kind::kDamagedPicture);
  // Arrays may have an example beside them, pictures something that was computed of them.
  if (pictures > listing.Count(Kind::kArray) + listing.Count(Kind::kIdx)) {
    absl::StatusOr<std::unique_ptr<PictureSource>> source =
        SourceByTable(&listing, open, run.stop, unreadable);
    if (!source.ok() || *source != nullptr) return source;
    return PictureSource::ByFolder(std::move(listing), open, unreadable);
  }
  if (listing.Count(Kind::kArray) > 0) {
    const ArraySource::Options arrays{options.axes, absl::StrCat(request.scratch, ".array"),
                                      run.max_bytes};
    return ArraySource::Open(listing, open, arrays, run.stop);
  }
  if (listing.Count(Kind::kIdx) > 0) {
    return IdxSource::Open(listing, open, absl::StrCat(request.scratch, ".idx"), run.max_bytes,
                           run.stop);
  }
  if (CifarSource::Knows(listing)) return CifarSource::Open(listing, open, run.stop);
  if (listing.Count(Kind::kTable) > 0) {
    return PixelTableSource::Open(listing, open, options, run.stop);
  }
  return NothingFound(listing);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Source>> OpenSource(const SourceRequest& request,
                                                   const ImportOptions& options,
                                                   const ImportRun& run,
                                                   UnreadableFiles* unreadable) {
  const absl::StatusOr<std::string> beginning = ReadBeginning(request.path);
  if (!beginning.ok()) return beginning.status();
  const absl::StatusOr<Packing> packing = PackingOf(*beginning);
  if (!packing.ok()) return packing.status();
  // Its entry is what a gzipped file unpacks to.
  const OpenArchive open = [path = request.path, kind = *packing,
                            name = std::string(absl::StripSuffix(request.name, ".gz"))] {
    return ArchiveReader::Open(path, kind, name);
  };
  absl::StatusOr<std::unique_ptr<ArchiveReader>> archive = open();
  if (!archive.ok()) return archive.status();
  absl::StatusOr<Listing> listing = Listing::Read(archive->get(), run.stop, unreadable);
  if (!listing.ok()) return listing.status();
  return OpenListed(*std::move(listing), open, request, options, run, unreadable);
}

}  // namespace atelier::models
