// `atelier top`: jobs, slots, models and load, as they change.
#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "client/commands/commands.h"
#include "client/following/top_view.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/terminal/full_screen.h"

namespace atelier::client {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(2);
constexpr int kMostJobs = 100;

struct TopOptions {
  absl::Duration interval = absl::Seconds(1);
};

absl::StatusOr<v1::GetMetricsResponse> GetMetrics(Session& session, bool all) {
  v1::GetMetricsRequest request;
  if (!all) {
    for (const std::string& name : TopMetricNames()) request.add_names(name);
  }
  return session.Call(&MonitoringService::GetMetrics, request, {.timeout = kPatience});
}

// Moves what was `now` to `before`, and asks for what is now.
absl::Status Refresh(Session& session, ServerLoad* load) {
  auto metrics = GetMetrics(session, /*all=*/false);
  if (!metrics.ok()) return metrics.status();
  v1::ListJobsRequest request;
  request.set_page_size(kMostJobs);
  for (int state = v1::JobState_MIN; state <= v1::JobState_MAX; ++state) {
    if (!v1::JobState_IsValid(state) || state == v1::JOB_STATE_UNSPECIFIED) continue;
    if (!HasEnded(static_cast<v1::JobState>(state))) {
      request.add_states(static_cast<v1::JobState>(state));
    }
  }
  std::vector<v1::TrainingJob> jobs;
  do {
    auto page = session.Call(&TrainingService::ListJobs, request, {.timeout = kPatience});
    if (!page.ok()) return page.status();
    jobs.insert(jobs.end(), page->jobs().begin(), page->jobs().end());
    request.set_page_token(page->next_page_token());
  } while (jobs.size() < kMostJobs && !request.page_token().empty());
  load->before = std::exchange(load->now, MetricSamples(*metrics));
  load->jobs = std::move(jobs);
  return absl::OkStatus();
}

// For programs: every metric, once.
absl::StatusOr<int> PrintMetrics(Session& session) {
  const auto metrics = GetMetrics(session, /*all=*/true);
  if (!metrics.ok()) return metrics.status();
  if (session.format() == OutputFormat::kJson) {
    session.PrintJson(*metrics);
    return kDone;
  }
  session.Print(CsvLine({"name", "labels", "value"}));
  for (const v1::MetricSample& sample : metrics->samples()) {
    const MetricSamples::Labels labels(sample.labels().begin(), sample.labels().end());
    session.Print(CsvLine({sample.name(), absl::StrJoin(labels, ";", absl::PairFormatter("=")),
                           Exact(sample.value())}));
  }
  return kDone;
}

// For pipes: prints once, with the rates of one interval.
absl::StatusOr<int> PrintOnce(Session& session, const TopOptions& options, ServerLoad* load) {
  absl::SleepFor(options.interval);
  if (const absl::Status status = Refresh(session, load); !status.ok()) return status;
  constexpr int kEveryLine = 10'000;
  for (const std::string& line :
       RenderTop(*load, session.style(), session.terminal().width(), kEveryLine)) {
    session.Print(absl::StrCat(absl::StripTrailingAsciiWhitespace(line), "\n"));
  }
  return kDone;
}

// Until the user quits; waits for a server that went away.
int ShowLive(Session& session, const TopOptions& options, ServerLoad* load) {
  FullScreen screen(session.terminal());
  absl::Time next = absl::Now() + options.interval;
  std::string notice;
  while (true) {
    const int width = session.terminal().width();
    const int height = session.terminal().height();
    std::vector<std::string> lines = RenderTop(*load, session.style(), width, height - 2);
    lines.resize(static_cast<std::size_t>(std::max(height - 1, 0)));
    lines.push_back(notice.empty() ? session.style().Paint(Ink::kDim, "q quits")
                                   : session.style().Paint(Ink::kYellow, Clip(notice, width)));
    screen.Draw(lines);
    char key = 0;
    switch (screen.Wait(std::max(next - absl::Now(), absl::Milliseconds(1)), &key)) {
      case FullScreen::Input::kEnded:
        return kInterrupted;
      case FullScreen::Input::kKey:
        if (key == 'q' || key == 'Q') return kDone;
        continue;
      case FullScreen::Input::kResized:
        continue;
      case FullScreen::Input::kNone:
        break;
    }
    if (absl::Now() < next) continue;
    const absl::Status status = Refresh(session, load);
    notice = status.ok() ? "" : absl::StrCat(status.message(), " Waiting; q quits");
    next = absl::Now() + options.interval;
  }
}

absl::StatusOr<int> Top(Session& session, const TopOptions& options) {
  if (!session.text()) return PrintMetrics(session);
  auto connection = session.Connect();
  if (!connection.ok()) return connection.status();
  ServerLoad load;
  load.address = (*connection)->address();
  if (const absl::Status status = Refresh(session, &load); !status.ok()) return status;
  if (!session.terminal().interactive) return PrintOnce(session, options, &load);
  return ShowLive(session, options, &load);
}

}  // namespace

void AddTop(CommandSet* commands) {
  const auto options = std::make_shared<TopOptions>();
  CLI::App* const command = commands->Add(
      {"top",
       "Show jobs, slots, models and load, live",
       "q or Ctrl-C quits. Without a terminal it prints once. With --output=json or csv it\n"
       "prints every metric once; docs/metrics.md explains them.",
       {{"atelier top", ""},
        {"atelier top --interval 5", ""},
        {"atelier --output=json top", "all metrics, one object"}}},
      [options](Session& session) { return Top(session, *options); });
  AddDurationOption(command, "--interval", &options->interval, "Time between two updates [1s]",
                    {absl::Milliseconds(100), absl::Hours(1)});
}

}  // namespace atelier::client
