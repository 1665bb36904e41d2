// A small picture as block characters, two rows of pixels to a line. With colours each half of a
// character has its pixel's; without, the characters' density stands for brightness. Thread-safe: a
// pure function.
#ifndef ATELIER_CLIENT_TERMINAL_PICTURE_H_
#define ATELIER_CLIENT_TERMINAL_PICTURE_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "atelier/v1/model_service.pb.h"
#include "client/terminal/style.h"

namespace atelier::client {

// `pixels` are C×H×W bytes, 0 to 255. A picture wider than `max_width` is thinned out. Returns
// lines of equal width; none if the pixels do not fit the shape.
std::vector<std::string> DrawPicture(absl::string_view pixels, const v1::ImageShape& shape,
                                     const Style& style, int max_width);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_TERMINAL_PICTURE_H_
