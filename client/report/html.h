// Text as HTML and SVG take it. Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_REPORT_HTML_H_
#define ATELIER_CLIENT_REPORT_HTML_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace atelier::client::report {

// The text with everything that means something in HTML written out, in content as in attributes;
// control characters are left out.
std::string Escape(absl::string_view text);

// A picture as a `data:` address.
std::string PngAddress(absl::string_view png);

// A table; cells are HTML already. Columns after the first `left` are figures, set to the right.
std::string HtmlTable(const std::vector<std::string>& titles,
                      const std::vector<std::vector<std::string>>& rows, std::size_t left);

}  // namespace atelier::client::report

#endif  // ATELIER_CLIENT_REPORT_HTML_H_
