// Records as TensorFlow's TFRecordWriter frames them: length (8 bytes, little-endian), its masked
// checksum, the payload, its masked checksum. Thread-safe: pure functions.
#ifndef ATELIER_SERVER_TENSORBOARD_RECORDS_H_
#define ATELIER_SERVER_TENSORBOARD_RECORDS_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace atelier::tensorboard {

// CRC-32C: polynomial 0x1EDC6F41 reflected, all ones at the start and inverted at the end. Written
// here because the Abseil that has it is younger than the one of Debian 12.
std::uint32_t Crc32c(absl::string_view bytes);

// The checksum as it stands in a record: rotated and shifted by a constant, so that the checksum of
// bytes that hold checksums is no special one.
std::uint32_t MaskedCrc32c(absl::string_view bytes);

void AppendRecord(absl::string_view payload, std::string* file);

}  // namespace atelier::tensorboard

#endif  // ATELIER_SERVER_TENSORBOARD_RECORDS_H_
