#include "client/following/live_printer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/terminal/display_text.h"

namespace atelier::client {
namespace {

constexpr absl::Duration kDrawInterval = absl::Milliseconds(100);
// Room for the ^C that a terminal shows: it must not push the line into the next one.
constexpr int kEcho = 2;
constexpr absl::Duration kQueueInterval = absl::Seconds(2);

}  // namespace

LivePrinter::LivePrinter(const Terminal& terminal, const v1::TrainingJob& job, Options options)
    : terminal_(terminal),
      options_(std::move(options)),
      view_(job, terminal.style, terminal.width()) {
  PrintLine(view_.Heading());
}

void LivePrinter::PrintLine(const std::string& line) {
  Clear();
  terminal_.out << line << "\n" << std::flush;
}

void LivePrinter::Clear() {
  if (drawn_.empty()) return;
  terminal_.out << "\r\x1b[K" << std::flush;
  drawn_.clear();
}

void LivePrinter::OnEvent(const v1::JobEvent& event) {
  v1::JobEvent clean = event;
  EscapeControls(&clean);
  for (const std::string& line : view_.Apply(clean)) PrintLine(line);
}

void LivePrinter::OnWaiting(const v1::Waiting& waiting) {
  if (waiting.has_queue_position()) view_.SetQueuePosition(waiting.queue_position());
  if (waiting.reason() == waiting_reason_) return;
  waiting_reason_ = waiting.reason();
  if (waiting_reason_.empty()) return;
  PrintLine(terminal_.style.Paint(Ink::kYellow,
                                  absl::StrCat("waiting: ", EscapeControls(waiting_reason_))));
}

void LivePrinter::OnTick() {
  if (!terminal_.interactive) return;
  const absl::Time now = options_.clock();
  if (!drawn_.empty() && now - last_draw_ < kDrawInterval) return;
  RefreshQueuePosition();
  Draw();
  last_draw_ = now;
}

void LivePrinter::Draw() {
  const int width = terminal_.width() - kEcho;
  const std::string line = connected_ ? view_.StatusLine(width, options_.clock()) : "";
  if (line == drawn_) return;
  // Written over the old line and only then cut off, so that nothing flickers.
  terminal_.out << "\r" << line << "\x1b[K" << std::flush;
  drawn_ = line;
}

void LivePrinter::RefreshQueuePosition() {
  const absl::Time now = options_.clock();
  if (!connected_ || !view_.queued() || now - last_queue_question_ < kQueueInterval) return;
  last_queue_question_ = now;
  if (const auto position = options_.queue_position()) view_.SetQueuePosition(*position);
}

void LivePrinter::OnConnectionLost() {
  connected_ = false;
  PrintLine(terminal_.style.Paint(Ink::kYellow, "connection lost, waiting for the server…"));
}

void LivePrinter::OnConnectionRestored() {
  connected_ = true;
  PrintLine(terminal_.style.Paint(Ink::kDim, "connected again"));
}

}  // namespace atelier::client
