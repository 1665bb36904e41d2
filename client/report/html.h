// Text as HTML and SVG take it. Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_REPORT_HTML_H_
#define ATELIER_CLIENT_REPORT_HTML_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace atelier::client::report {

// The text with everything that means something in HTML written out, in content as in attributes;
// control characters are left out.
std::string Escape(absl::string_view text);

// A picture as a `data:` address.
std::string PngAddress(absl::string_view png);

struct HtmlColumn {
  std::string title;
  bool figure = true;  // Set to the right and never broken; words are broken where room is short.
};

// A table; cells are HTML already. Where the screen is narrow the first column stays in sight and
// the others are scrolled, so what matters most stands in the first ones.
std::string HtmlTable(const std::vector<HtmlColumn>& columns,
                      const std::vector<std::vector<std::string>>& rows);

// Names and values side by side, in as many columns as there is room for; both are HTML already.
std::string HtmlPairs(const std::vector<std::pair<std::string, std::string>>& pairs);

}  // namespace atelier::client::report

#endif  // ATELIER_CLIENT_REPORT_HTML_H_
