// Prints classifications as they arrive, as text in full or one line each, JSON or CSV; and counts
// them. Used by one thread.
#ifndef ATELIER_CLIENT_CLASSIFYING_CLASSIFICATION_PRINTER_H_
#define ATELIER_CLIENT_CLASSIFYING_CLASSIFICATION_PRINTER_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/time/time.h"
#include "client/calls/session.h"
#include "client/classifying/classification_text.h"

namespace atelier::client {

class ClassificationPrinter {
 public:
  // If `brief`, text is one line per image.
  ClassificationPrinter(Session* session, bool brief);

  // `head` is the response that contained the image's classification.
  void Print(const v1::ClassifyResponse& head, const ClassifiedImage& image);

  // Number of images, speed, and images by class; only for brief text.
  void PrintSummary(absl::Duration took);

  std::int64_t images() const { return images_; }
  // Images whose most probable class was the true one.
  std::int64_t right() const { return right_; }

 private:
  void PrintText(const ClassifiedImage& image);
  void PrintCsv(const ClassifiedImage& image);

  Session* const session_;
  const bool brief_;
  // The version of the last response.
  std::string version_;
  std::int64_t images_ = 0;
  std::int64_t right_ = 0;
  std::map<std::string, std::int64_t> classes_;
  // Of the widest class so far.
  int class_width_ = 12;
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CLASSIFYING_CLASSIFICATION_PRINTER_H_
