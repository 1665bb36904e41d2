// The image that a command shows a model: a file, or a test image of a data set. Used by one
// thread.
#ifndef ATELIER_CLIENT_COMMANDS_IMAGE_ARGUMENT_H_
#define ATELIER_CLIENT_COMMANDS_IMAGE_ARGUMENT_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "atelier/v1/inference_service.pb.h"
#include "client/calls/arguments.h"
#include "client/calls/session.h"

namespace atelier::client {

// As it is typed.
struct ImageArgument {
  std::string file;
  std::optional<std::int64_t> test_image;
  std::string dataset;
  v1::Resize resize = v1::RESIZE_UNSPECIFIED;
  v1::Inversion inversion = v1::INVERSION_AUTO;
};

// Adds the argument IMAGE and the options that describe it to a command, which `argument` must
// outlive.
void AddImageArgument(CLI::App* command, ImageArgument* argument);

// The image as a request takes it, and what it is called.
struct NamedImage {
  std::string title;
  // In names of files.
  std::string stem;
  // The class of a test image; empty if it is not known.
  std::string true_class;
  // One of the two.
  v1::EncodedImages encoded;
  v1::RawImages raw;

  // Into a request that takes images as Classify does.
  template <typename Request>
  void MoveTo(Request* request) {
    if (raw.pixels().empty()) {
      *request->mutable_encoded() = std::move(encoded);
    } else {
      *request->mutable_raw() = std::move(raw);
    }
  }

  // In errors the image is called by its title.
  FieldNamer FieldNames() const;
};

// Reads the file, or fetches the test image. INVALID_ARGUMENT unless one of the two was given.
absl::StatusOr<NamedImage> ReadImage(Session& session, const ImageArgument& argument,
                                     const ModelReference& model);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMMANDS_IMAGE_ARGUMENT_H_
