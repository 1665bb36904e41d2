#include "server/base/proc_file.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace atelier {

std::string ReadProcFile(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::optional<std::int64_t> ProcNumber(absl::string_view text, absl::string_view name) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, name) || !absl::ConsumePrefix(&line, ":")) continue;
    line = absl::StripAsciiWhitespace(line);
    std::int64_t number = 0;
    if (!absl::SimpleAtoi(line.substr(0, line.find(' ')), &number)) return std::nullopt;
    return number;
  }
  return std::nullopt;
}

absl::Duration ProcessAge() {
  // Behind the program's name, which may hold anything: the state is field 3, the start field 22.
  const std::string stat = ReadProcFile("/proc/self/stat");
  const std::vector<absl::string_view> fields =
      absl::StrSplit(absl::string_view(stat).substr(std::min(stat.rfind(')') + 1, stat.size())),
                     ' ', absl::SkipEmpty());
  std::int64_t ticks = 0;
  timespec now;
  if (fields.size() < 20 || !absl::SimpleAtoi(fields[19], &ticks) ||
      clock_gettime(CLOCK_BOOTTIME, &now) != 0) {
    return absl::ZeroDuration();
  }
  return absl::DurationFromTimespec(now) - absl::Seconds(1) * ticks / sysconf(_SC_CLK_TCK);
}

}  // namespace atelier
