#include "client/following/top_view.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "client/calls/arguments.h"
#include "client/calls/spec_fields.h"
#include "client/following/job_text.h"
#include "client/terminal/display_text.h"
#include "client/terminal/figures.h"
#include "client/terminal/table.h"

namespace atelier::client {
namespace {

using Align = Table::Align;

constexpr int kMostBar = 20;
constexpr int kLeastBar = 5;
constexpr int kTitleWidth = 8;
// Of the lines below the heading, jobs leave models these where both have more.
constexpr int kModelLines = 6;
constexpr char kUnknown[] = "–";

std::string Number(std::optional<double> value) {
  if (!value.has_value()) return kUnknown;
  return *value < 100 ? absl::StrFormat("%.1f", *value) : Count(std::llround(*value));
}

std::string Memory(std::optional<double> value) {
  return value.has_value() ? Bytes(std::llround(*value)) : kUnknown;
}

// "cpu     ━━━━───  1.6 of 2 cores": one of two columns.
std::string Gauge(const Style& style, const char* title, std::optional<double> used,
                  std::optional<double> all, const std::string& words, int width) {
  const int bar = std::min(kMostBar, width - kTitleWidth - DisplayWidth(words) - 3);
  std::string text = style.Paint(Ink::kDim, PadRight(title, kTitleWidth));
  int drawn = kTitleWidth;
  if (bar >= kLeastBar && used.has_value() && all.value_or(0) > 0) {
    const double share = std::clamp(*used / *all, 0.0, 1.0);
    const int filled = static_cast<int>(std::lround(share * bar));
    std::string done, left;
    for (int i = 0; i < bar; ++i) (i < filled ? done : left) += i < filled ? "━" : "─";
    const Ink ink = share > 0.9 ? Ink::kYellow : Ink::kCyan;
    absl::StrAppend(&text, style.Paint(ink, done), style.Paint(Ink::kDim, left), "  ");
    drawn += bar + 2;
  }
  return absl::StrCat(text, words,
                      std::string(std::max(1, width - drawn - DisplayWidth(words)), ' '));
}

std::string Of(std::optional<double> used, std::optional<double> all, const char* unit) {
  return absl::StrCat(Number(used), " of ", all.has_value() ? Count(std::llround(*all)) : kUnknown,
                      unit);
}

std::string Heading(const ServerLoad& load, const Style& style) {
  std::string version;
  for (const auto& values : load.now.Combinations("atelier_build_info", {"version"})) {
    version = values[0];
  }
  std::string text =
      absl::StrCat(style.Paint(Ink::kBold, absl::StrCat("atelier ", version)), "  ", load.address);
  if (const auto start = load.now.Sum("process_start_time_seconds")) {
    const absl::Duration up = load.now.time() - absl::FromUnixSeconds(std::llround(*start));
    absl::StrAppend(&text, style.Paint(Ink::kDim, absl::StrCat("  up ", Duration(up))));
  }
  return text;
}

void AddGauges(const ServerLoad& load, const Style& style, int width,
               std::vector<std::string>* lines) {
  const MetricSamples& now = load.now;
  const auto cpu = now.Rate(load.before, "atelier_machine_cpu_seconds_total");
  const auto cores = now.Sum("atelier_machine_cpu_cores");
  const auto used = now.Sum("atelier_machine_memory_used_bytes");
  const auto limit = now.Sum("atelier_machine_memory_limit_bytes");
  const auto slots = now.Sum("atelier_worker_cores");
  const auto taken = now.Sum("atelier_worker_cores_in_use");
  const auto queued = now.Sum("atelier_queue_length");
  const auto capacity = now.Sum("atelier_queue_capacity");
  const auto calls = now.Rate(load.before, "grpc_server_handled_total");
  const auto images = now.Rate(load.before, "atelier_inference_images_total");
  // Two columns where there is room.
  const int column = width >= 90 ? std::min(width, 120) / 2 : width;
  const std::vector<std::string> gauges = {
      Gauge(style, "cpu", cpu, cores, Of(cpu, cores, " cores"), column),
      Gauge(style, "memory", used, limit, absl::StrCat(Memory(used), " of ", Memory(limit)),
            column),
      Gauge(style, "slots", taken, slots, absl::StrCat(Of(taken, slots, " cores"), " in use"),
            column),
      Gauge(style, "queue", queued, capacity,
            absl::StrCat(Count(std::llround(queued.value_or(0))), " of ",
                         Count(std::llround(capacity.value_or(0)))),
            column),
      Gauge(style, "calls", std::nullopt, std::nullopt, absl::StrCat(Number(calls), " /s"), column),
      Gauge(style, "images", std::nullopt, std::nullopt,
            absl::StrCat(Number(images.value_or(0)), " /s classified"), column)};
  const std::size_t columns = column == width ? 1 : 2;
  for (std::size_t i = 0; i < gauges.size(); i += columns) {
    lines->push_back(columns == 2 ? gauges[i] + gauges[i + 1] : gauges[i]);
  }
}

Table JobRows(const ServerLoad& load, std::size_t limit) {
  Table table({{"job"},
               {"state"},
               {"network", Align::kLeft, true},
               {"epoch", Align::kRight},
               {"val acc", Align::kRight},
               {"images/s", Align::kRight, true},
               {"cpu", Align::kRight},
               {"memory", Align::kRight, true},
               {"left", Align::kRight, true}});
  for (std::size_t i = 0; i < std::min(limit, load.jobs.size()); ++i) {
    const v1::TrainingJob& job = load.jobs[i];
    const std::string id(Leaf(job.name()));
    const auto figure = [&](const char* name) { return load.now.Sum(name, {{"job", id}}); };
    std::string state = StateText(job.state());
    if (job.has_queue_position()) absl::StrAppend(&state, " #", job.queue_position() + 1);
    if (!job.waiting_reason().empty()) state += " !";
    const auto accuracy = figure("atelier_job_validation_accuracy_ratio");
    const v1::Progress& progress = job.progress();
    table.AddRow(
        {id,
         {state, InkOf(job.state())},
         KindText(job),
         ProgressText(job),
         accuracy.has_value() ? Percent(*accuracy) : kUnknown,
         Number(figure("atelier_job_images_per_second")),
         Number(figure("atelier_job_cpu_utilization_cores")),
         Memory(figure("atelier_job_resident_memory_bytes")),
         progress.has_time_left() ? Duration(ToDuration(progress.time_left())) : kUnknown});
  }
  return table;
}

// What jobs wait for, the first few.
std::vector<std::string> Reasons(const ServerLoad& load, const Style& style, int width) {
  constexpr std::size_t kMostReasons = 3;
  std::vector<std::string> lines;
  for (const v1::TrainingJob& job : load.jobs) {
    if (job.waiting_reason().empty() || lines.size() == kMostReasons) continue;
    const std::string line = absl::StrCat("! ", Leaf(job.name()), ": ", job.waiting_reason());
    lines.push_back(style.Paint(Ink::kYellow, Clip(EscapeControls(line), width)));
  }
  return lines;
}

using Versions = std::vector<std::vector<std::string>>;

// The busiest first.
Versions LoadedVersions(const ServerLoad& load) {
  const auto loaded = load.now.Combinations("atelier_inference_images_total", {"model", "version"});
  Versions versions(loaded.begin(), loaded.end());
  const auto rate = [&](const std::vector<std::string>& version) {
    return load.now
        .Rate(load.before, "atelier_inference_images_total",
              {{"model", version[0]}, {"version", version[1]}})
        .value_or(0);
  };
  std::stable_sort(versions.begin(), versions.end(),
                   [&](const auto& a, const auto& b) { return rate(a) > rate(b); });
  return versions;
}

Table ModelRows(const ServerLoad& load, const Versions& versions, std::size_t limit) {
  Table table({{"model"},
               {"requests/s", Align::kRight},
               {"images/s", Align::kRight},
               {"mean latency", Align::kRight},
               {"in flight", Align::kRight, true},
               {"memory", Align::kRight, true}});
  for (std::size_t i = 0; i < std::min(limit, versions.size()); ++i) {
    const MetricSamples::Labels labels = {{"model", versions[i][0]}, {"version", versions[i][1]}};
    const auto rate = [&](const char* name) { return load.now.Rate(load.before, name, labels); };
    const auto count = rate("atelier_inference_request_duration_seconds_count");
    const auto seconds = rate("atelier_inference_request_duration_seconds_sum");
    const bool busy = count.value_or(0) > 0 && seconds.has_value();
    table.AddRow(
        {absl::StrCat(versions[i][0], "@", versions[i][1]),
         Number(rate("atelier_inference_requests_total").value_or(0)),
         Number(rate("atelier_inference_images_total")),
         busy ? absl::StrFormat("%.2f ms", *seconds / *count * 1000) : kUnknown,
         Count(std::llround(load.now.Sum("atelier_inference_in_flight", labels).value_or(0))),
         Memory(load.now.Sum("atelier_model_memory_bytes", labels))});
  }
  return table;
}

void AddTable(const Table& table, const Style& style, int width, std::size_t left_out,
              std::vector<std::string>* lines) {
  lines->emplace_back();
  const std::string text = table.Render(style, width);
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    lines->emplace_back(line);
  }
  if (left_out > 0)
    lines->push_back(style.Paint(Ink::kDim, absl::StrCat("… and ", left_out, " more")));
}

}  // namespace

std::vector<std::string> TopMetricNames() {
  return {"atelier_build_info",
          "process_start_time_seconds",
          "atelier_machine_cpu_seconds_total",
          "atelier_machine_cpu_cores",
          "atelier_machine_memory_used_bytes",
          "atelier_machine_memory_limit_bytes",
          "atelier_worker_cores",
          "atelier_worker_cores_in_use",
          "atelier_queue_length",
          "atelier_queue_capacity",
          "grpc_server_handled_total",
          "atelier_job_validation_accuracy_ratio",
          "atelier_job_images_per_second",
          "atelier_job_cpu_utilization_cores",
          "atelier_job_resident_memory_bytes",
          "atelier_inference_requests_total",
          "atelier_inference_images_total",
          "atelier_inference_request_duration_seconds",
          "atelier_inference_in_flight",
          "atelier_model_memory_bytes"};
}

std::vector<std::string> RenderTop(const ServerLoad& load, const Style& style, int width,
                                   int height) {
  std::vector<std::string> lines = {Heading(load, style), ""};
  AddGauges(load, style, width, &lines);
  const Versions versions = LoadedVersions(load);
  const int models = static_cast<int>(versions.size());
  const int jobs = static_cast<int>(load.jobs.size());
  // Both tables have an empty line, a title and perhaps a line for what was left out.
  const std::vector<std::string> reasons = Reasons(load, style, width);
  const int room = std::max(2, height - static_cast<int>(lines.size() + reasons.size()) - 6);
  const int model_rows = std::min(models, std::max(kModelLines, room - jobs));
  const int job_rows = std::max(1, std::min(jobs, room - model_rows));
  if (jobs == 0) {
    lines.insert(lines.end(), {"", style.Paint(Ink::kDim, "No jobs are queued or running.")});
  } else {
    AddTable(JobRows(load, static_cast<std::size_t>(job_rows)), style, width,
             static_cast<std::size_t>(std::max(0, jobs - job_rows)), &lines);
    lines.insert(lines.end(), reasons.begin(), reasons.end());
  }
  if (models == 0) {
    lines.insert(lines.end(), {"", style.Paint(Ink::kDim, "No models are loaded.")});
  } else {
    AddTable(ModelRows(load, versions, static_cast<std::size_t>(model_rows)), style, width,
             static_cast<std::size_t>(models - model_rows), &lines);
  }
  if (static_cast<int>(lines.size()) > height) lines.resize(static_cast<std::size_t>(height));
  return lines;
}

}  // namespace atelier::client
