#include "models/files/tar_gz.h"

#include <archive.h>
#include <archive_entry.h>

#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace atelier::models {
namespace {

// Deflate's best.
constexpr int64_t kMaxCompression = 1032;

struct FreeWriter {
  void operator()(archive* a) const { archive_write_free(a); }
};
struct FreeReader {
  void operator()(archive* a) const { archive_read_free(a); }
};
struct FreeEntry {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};
using Writer = std::unique_ptr<archive, FreeWriter>;
using Reader = std::unique_ptr<archive, FreeReader>;
using Entry = std::unique_ptr<archive_entry, FreeEntry>;

absl::Status Damaged(absl::string_view what) { return absl::InvalidArgumentError(what); }

absl::Status LibraryFailure(archive* a) {
  const char* text = archive_error_string(a);
  return Damaged(text != nullptr ? text : "it is no tar.gz file");
}

la_ssize_t Append(archive* /*a*/, void* to, const void* data, size_t size) {
  static_cast<std::string*>(to)->append(static_cast<const char*>(data), size);
  return static_cast<la_ssize_t>(size);
}

bool WriteEntry(archive* writer, const TarEntry& from) {
  const Entry entry(archive_entry_new());
  archive_entry_set_pathname(entry.get(), from.name.c_str());
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0644);
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(from.bytes.size()));
  return archive_write_header(writer, entry.get()) == ARCHIVE_OK &&
         archive_write_data(writer, from.bytes.data(), from.bytes.size()) ==
             static_cast<la_ssize_t>(from.bytes.size());
}

// Names from strangers go into messages: printable, and not without end.
std::string Quoted(const char* name) {
  return absl::StrCat("'", absl::CEscape(absl::string_view(name).substr(0, 100)), "'");
}

absl::StatusOr<std::string> ReadEntry(archive* reader, archive_entry* entry,
                                      const std::string& name, int64_t max_bytes,
                                      int64_t archive_bytes) {
  // Hard links count as plain files but carry a target.
  if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr) {
    return Damaged(absl::StrCat("its entry ", name, " is no plain file"));
  }
  const int64_t size = archive_entry_size(entry);
  if (size < 0 || size > max_bytes) {
    return Damaged(absl::StrCat("its entry ", name, " has ", size, " bytes; at most ", max_bytes,
                                " are accepted"));
  }
  // Before memory is taken for what cannot be there.
  if (size / kMaxCompression > archive_bytes) {
    return Damaged(absl::StrCat("its entry ", name, " is truncated"));
  }
  std::string bytes(static_cast<size_t>(size), '\0');
  const la_ssize_t got = archive_read_data(reader, bytes.data(), bytes.size());
  if (got < 0) return LibraryFailure(reader);
  if (got != size) return Damaged(absl::StrCat("its entry ", name, " is truncated"));
  return bytes;
}

}  // namespace

absl::StatusOr<std::string> PackTarGz(const std::vector<TarEntry>& entries) {
  std::string bytes;
  const Writer writer(archive_write_new());
  bool good = archive_write_add_filter_gzip(writer.get()) == ARCHIVE_OK &&
              archive_write_set_format_ustar(writer.get()) == ARCHIVE_OK &&
              archive_write_set_options(writer.get(), "gzip:!timestamp") == ARCHIVE_OK &&
              // No zeros behind the end, so that nothing can be cut off unnoticed.
              archive_write_set_bytes_in_last_block(writer.get(), 1) == ARCHIVE_OK &&
              archive_write_open(writer.get(), &bytes, nullptr, Append, nullptr) == ARCHIVE_OK;
  for (const TarEntry& entry : entries) good = good && WriteEntry(writer.get(), entry);
  if (!good || archive_write_close(writer.get()) != ARCHIVE_OK) {
    return absl::InternalError(
        absl::StrCat("the archive cannot be packed: ", LibraryFailure(writer.get()).message()));
  }
  return bytes;
}

absl::StatusOr<std::map<std::string, std::string>> UnpackTarGz(
    const std::string& bytes, const std::map<std::string, int64_t>& expected,
    const std::map<std::string, int64_t>& optional) {
  const Reader reader(archive_read_new());
  if (archive_read_support_filter_gzip(reader.get()) != ARCHIVE_OK ||
      archive_read_support_format_tar(reader.get()) != ARCHIVE_OK ||
      archive_read_open_memory(reader.get(), bytes.data(), bytes.size()) != ARCHIVE_OK) {
    return LibraryFailure(reader.get());
  }
  std::map<std::string, int64_t> limits = expected;
  limits.insert(optional.begin(), optional.end());
  std::map<std::string, std::string> contents;
  archive_entry* entry = nullptr;
  int result = ARCHIVE_OK;
  while ((result = archive_read_next_header(reader.get(), &entry)) == ARCHIVE_OK) {
    const char* path = archive_entry_pathname(entry);
    const std::string name = path == nullptr ? "" : path;
    const auto limit = limits.find(name);
    if (limit == limits.end()) {
      return Damaged(
          absl::StrCat("it has an entry ", Quoted(name.c_str()), " that does not belong there"));
    }
    if (contents.count(name) > 0) return Damaged(absl::StrCat("it has two entries ", name));
    absl::StatusOr<std::string> data =
        ReadEntry(reader.get(), entry, name, limit->second, static_cast<int64_t>(bytes.size()));
    if (!data.ok()) return data.status();
    contents.emplace(name, *std::move(data));
  }
  if (result != ARCHIVE_EOF) return LibraryFailure(reader.get());
  for (const auto& [name, limit] : expected) {
    if (contents.count(name) == 0) return Damaged(absl::StrCat("it lacks the entry ", name));
  }
  return contents;
}

}  // namespace atelier::models
