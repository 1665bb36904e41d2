// A classification as text with bars. Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_CLASSIFYING_CLASSIFICATION_TEXT_H_
#define ATELIER_CLIENT_CLASSIFYING_CLASSIFICATION_TEXT_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "atelier/v1/inference_service.pb.h"
#include "client/terminal/style.h"

namespace atelier::client {

struct ClassifiedImage {
  // A file, or which test image.
  std::string title;
  // Empty if unknown.
  std::string true_class;
  v1::Classification classification;
  // The image as lines of equal width; may be empty.
  std::vector<std::string> picture;
  // Columns of such a line.
  int picture_width = 0;
};

// Whether the most probable class is the true one.
bool IsRight(const ClassifiedImage& image);

// The picture, if there is one, and beside it the classes with a bar for each probability.
std::string ClassificationText(const ClassifiedImage& image, const Style& style, int width);

// One line: the most probable class, at least `class_width` columns wide, how probable it is, and
// the title.
std::string ClassificationLine(const ClassifiedImage& image, const Style& style, int class_width,
                               int width);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CLASSIFYING_CLASSIFICATION_TEXT_H_
