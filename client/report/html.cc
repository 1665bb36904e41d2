#include "client/report/html.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace atelier::client::report {

std::string Escape(absl::string_view text) {
  std::string html;
  for (const char c : text) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      case '\'':
        html += "&#39;";
        break;
      default:
        if (c == '\n' || c == '\t' || !absl::ascii_iscntrl(static_cast<unsigned char>(c)))
          html += c;
    }
  }
  return html;
}

std::string PngAddress(absl::string_view png) {
  return absl::StrCat("data:image/png;base64,", absl::Base64Escape(png));
}

std::string HtmlTable(const std::vector<HtmlColumn>& columns,
                      const std::vector<std::vector<std::string>>& rows) {
  const auto kind = [&](std::size_t column) {
    return columns[column].figure ? " class=\"figure\"" : "";
  };
  std::string html = "<div class=\"scroll\"><table><thead><tr>";
  for (std::size_t i = 0; i < columns.size(); ++i) {
    absl::StrAppend(&html, "<th", kind(i), ">", Escape(columns[i].title), "</th>");
  }
  absl::StrAppend(&html, "</tr></thead><tbody>\n");
  for (const auto& row : rows) {
    absl::StrAppend(&html, "<tr>");
    for (std::size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&html, "<td", kind(i), ">", row[i], "</td>");
    }
    absl::StrAppend(&html, "</tr>\n");
  }
  absl::StrAppend(&html, "</tbody></table></div>\n");
  return html;
}

std::string HtmlPairs(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string html = "<dl class=\"facts\">\n";
  for (const auto& [name, value] : pairs) {
    absl::StrAppend(&html, "<div><dt>", name, "</dt><dd>", value, "</dd></div>\n");
  }
  return html + "</dl>\n";
}

}  // namespace atelier::client::report
