#include "client/load/load_report.h"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/calls/arguments.h"
#include "client/terminal/display_text.h"
#include "client/terminal/figures.h"
#include "client/terminal/output.h"
#include "client/terminal/table.h"

namespace atelier::client {
namespace {

using Align = Table::Align;
using Json = nlohmann::ordered_json;

constexpr std::array<std::pair<const char*, double>, 4> kPercentiles = {
    {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}}};

struct LatencyPart {
  const char* name;
  const LatencyHistogram& histogram;
};

// Where an answer's time went.
std::array<LatencyPart, 4> Parts(const LoadResult& result) {
  return {{{"latency", result.latency},
           {"queue", result.queue},
           {"compute", result.compute},
           {"rest", result.rest}}};
}

double Milliseconds(absl::Duration duration) {
  return std::round(absl::ToDoubleMicroseconds(duration)) / 1000;
}

std::string MillisecondsText(absl::Duration duration) {
  const double value = absl::ToDoubleMilliseconds(duration);
  return absl::StrFormat("%.*f ms", value < 10 ? 2 : value < 100 ? 1 : 0, value);
}

std::string CodeName(grpc::StatusCode code) {
  return absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
}

double MeanBatch(const LoadResult& result) {
  return result.answered == 0 ? 0 : result.largest_batches / static_cast<double>(result.answered);
}

std::string Rate(double value, const char* noun) {
  return absl::StrCat(value < 100 ? absl::StrFormat("%.1f", value) : Count(std::llround(value)),
                      " ", noun, "/s");
}

std::string Heading(const LoadReport& report) {
  const LoadOptions& options = report.options;
  const std::string load =
      options.rate > 0 ? absl::StrCat("open loop, ", Rate(options.rate, "arrivals"))
                       : absl::StrCat("closed loop, ", Count(options.concurrency, "caller"));
  const bool whole = report.result.measured >= options.duration;
  return absl::StrCat(load, ", ", Count(report.images, "image"), " per request, ",
                      Duration(report.result.measured),
                      whole ? "" : absl::StrCat(" of ", Duration(options.duration)));
}

std::string TimesTable(const LoadResult& result, const Style& style, int width) {
  std::vector<Table::Column> columns = {{""}};
  for (const auto& [name, percent] : kPercentiles) columns.push_back({name, Align::kRight});
  columns.push_back({"max", Align::kRight});
  columns.push_back({"mean", Align::kRight, true});
  Table table(std::move(columns));
  for (const LatencyPart& part : Parts(result)) {
    const bool whole = &part.histogram == &result.latency;
    std::vector<Table::Cell> row = {
        {absl::StrCat(whole ? "  " : "    ", part.name), whole ? Ink::kBold : Ink::kDim}};
    for (const auto& [name, percent] : kPercentiles) {
      row.emplace_back(MillisecondsText(part.histogram.Percentile(percent)));
    }
    row.emplace_back(MillisecondsText(part.histogram.max()));
    row.emplace_back(MillisecondsText(part.histogram.mean()));
    table.AddRow(std::move(row));
  }
  return table.Render(style, width);
}

std::string CountsTable(const LoadReport& report, const Style& style, int width) {
  const LoadResult& result = report.result;
  Table table({{""}, {"", Align::kRight}, {""}});
  const auto add = [&](const char* what, std::int64_t count, const std::string& words,
                       Ink ink = Ink::kPlain) {
    const int room = width - 22;
    table.AddRow({{absl::StrCat("  ", what), Ink::kDim}, {Count(count), ink}, Clip(words, room)});
  };
  add("answered", result.answered,
      absl::StrFormat("in batches of %.1f images on average", MeanBatch(result)));
  if (result.versions.size() > 1) {
    for (const auto& [version, count] : result.versions) {
      add("", count, absl::StrCat("by ", ShortModel(EscapeControls(version))));
    }
  }
  for (const auto& [code, failures] : result.failures) {
    add("failed", failures.count,
        absl::StrCat(CodeName(code), ": ", EscapeControls(failures.message)), Ink::kRed);
  }
  if (result.not_sent > 0) {
    add("not sent", result.not_sent,
        absl::StrCat(Count(report.options.concurrency), " were already in flight"), Ink::kYellow);
  }
  if (result.given_up > 0) add("given up", result.given_up, "at Ctrl-C", Ink::kYellow);
  return table.Render(style, width);
}

std::int64_t Failed(const LoadResult& result) {
  std::int64_t failed = 0;
  for (const auto& [code, failures] : result.failures) failed += failures.count;
  return failed;
}

}  // namespace

std::string LoadText(const LoadReport& report, const Style& style, int width) {
  const LoadResult& result = report.result;
  const double rate = result.RequestsPerSecond();
  const std::string by = ShortModel(
      EscapeControls(result.versions.empty() ? report.model : result.versions.begin()->first));
  std::string text = absl::StrCat(style.Paint(Ink::kBold, by), "  ", Heading(report), "\n\n",
                                  style.Paint(Ink::kDim, "  throughput  "), Rate(rate, "requests"));
  if (report.images > 1) absl::StrAppend(&text, ", ", Rate(rate * report.images, "images"));
  absl::StrAppend(&text, "\n\n");
  if (result.answered > 0) absl::StrAppend(&text, TimesTable(result, style, width), "\n");
  return absl::StrCat(text, CountsTable(report, style, width));
}

std::string LoadJson(const LoadReport& report) {
  const LoadOptions& options = report.options;
  const LoadResult& result = report.result;
  Json json;
  json["model"] = report.model;
  json["loop"] = options.rate > 0 ? "open" : "closed";
  if (options.rate > 0) json["rate"] = options.rate;
  json["concurrency"] = options.concurrency;
  json["images_per_request"] = report.images;
  json["seconds"] = absl::ToDoubleSeconds(result.measured);
  json["complete"] = result.measured >= options.duration;
  json["requests_per_second"] = result.RequestsPerSecond();
  json["images_per_second"] = result.RequestsPerSecond() * report.images;
  for (const LatencyPart& part : Parts(result)) {
    Json& figures = json[absl::StrCat(part.name, "_ms")];
    for (const auto& [name, percent] : kPercentiles) {
      figures[name] = Milliseconds(part.histogram.Percentile(percent));
    }
    figures["max"] = Milliseconds(part.histogram.max());
    figures["mean"] = Milliseconds(part.histogram.mean());
  }
  json["sent"] = result.sent;
  json["answered"] = result.answered;
  json["failed"] = Failed(result);
  json["not_sent"] = result.not_sent;
  json["given_up"] = result.given_up;
  json["errors"] = Json::object();
  for (const auto& [code, failures] : result.failures) {
    json["errors"][CodeName(code)] = failures.count;
  }
  json["mean_largest_batch"] = MeanBatch(result);
  json["versions"] = Json::object();
  for (const auto& [version, count] : result.versions) json["versions"][version] = count;
  // What is no UTF-8 is replaced rather than thrown about.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string LoadCsv(const LoadReport& report) {
  const LoadOptions& options = report.options;
  const LoadResult& result = report.result;
  std::vector<std::pair<std::string, std::string>> columns = {
      {"model", report.model},
      {"loop", options.rate > 0 ? "open" : "closed"},
      {"rate", options.rate > 0 ? Exact(options.rate) : ""},
      {"concurrency", absl::StrCat(options.concurrency)},
      {"images_per_request", absl::StrCat(report.images)},
      {"seconds", Exact(absl::ToDoubleSeconds(result.measured))},
      {"requests_per_second", Exact(result.RequestsPerSecond())},
      {"images_per_second", Exact(result.RequestsPerSecond() * report.images)}};
  for (const LatencyPart& part : Parts(result)) {
    for (const auto& [name, percent] : kPercentiles) {
      columns.emplace_back(absl::StrCat(part.name, "_ms_", name),
                           Exact(Milliseconds(part.histogram.Percentile(percent))));
    }
    columns.emplace_back(absl::StrCat(part.name, "_ms_max"),
                         Exact(Milliseconds(part.histogram.max())));
  }
  columns.emplace_back("sent", absl::StrCat(result.sent));
  columns.emplace_back("answered", absl::StrCat(result.answered));
  columns.emplace_back("failed", absl::StrCat(Failed(result)));
  columns.emplace_back("not_sent", absl::StrCat(result.not_sent));
  std::vector<std::string> titles, values;
  for (auto& [title, value] : columns) {
    titles.push_back(std::move(title));
    values.push_back(std::move(value));
  }
  return CsvLine(titles) + CsvLine(values);
}

}  // namespace atelier::client
