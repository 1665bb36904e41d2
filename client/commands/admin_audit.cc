// `atelier admin audit`: who changed what on the server.
#include <algorithm>
#include <memory>

#include "absl/time/time.h"
#include "client/commands/admin_commands.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/table.h"

namespace atelier::client {
namespace {

struct AuditOptions {
  std::string caller;
  std::string resource;
  int limit = 50;
};

// `StopJob` of `atelier.v1.TrainingService/StopJob`.
std::string MethodOf(const v1::AuditEntry& entry) {
  return entry.method().substr(entry.method().rfind('/') + 1);
}

std::string TimeOf(const v1::AuditEntry& entry) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixSeconds(entry.time().seconds()),
                          absl::UTCTimeZone());
}

class Listing {
 public:
  explicit Listing(Session* session) : session_(*session) {
    if (session_.format() == OutputFormat::kCsv) {
      session_.Print(
          CsvLine({"time", "caller", "role", "peer", "method", "resource", "code", "message"}));
    }
  }

  void Add(const v1::AuditEntry& entry) {
    if (session_.format() == OutputFormat::kJson) session_.PrintJson(entry);
    if (session_.format() == OutputFormat::kCsv) {
      session_.Print(CsvLine({TimeOf(entry), entry.caller(), entry.role(), entry.peer(),
                              entry.method(), entry.resource(), entry.code(), entry.message()}));
    }
    table_.AddRow({TimeOf(entry), entry.caller(), MethodOf(entry),
                   entry.resource().empty() ? entry.message() : entry.resource(), entry.code(),
                   entry.peer()});
  }

  void Show() {
    if (!session_.text()) return;
    session_.Print(table_.empty() ? "There are no such entries.\n"
                                  : table_.Render(session_.style(), session_.terminal().width()));
  }

 private:
  Session& session_;
  Table table_{{{"time"},
                {"caller"},
                {"call"},
                {"resource"},
                {"result"},
                {"from", Table::Align::kLeft, /*optional=*/true}}};
};

absl::StatusOr<int> Audit(Session& session, const AuditOptions& options) {
  v1::ListAuditEntriesRequest request;
  request.set_caller(options.caller);
  request.set_resource(options.resource);
  Listing listing(&session);
  int left = options.limit;
  do {
    request.set_page_size(std::min(left, 1000));
    const auto page = session.Call(&AdminService::ListAuditEntries, request, {.repeats = 1});
    if (!page.ok()) return page.status();
    for (const v1::AuditEntry& entry : page->entries()) listing.Add(entry);
    left -= page->entries_size();
    request.set_page_token(page->next_page_token());
  } while (left > 0 && !request.page_token().empty() && !session.interrupted());
  listing.Show();
  return kDone;
}

}  // namespace

void AddAdminAudit(CommandSet* commands, CLI::App* family) {
  const auto options = std::make_shared<AuditOptions>();
  CLI::App* const command = commands->Add(
      {"audit",
       "List who changed what, newest first",
       "Every call that changed something, and those that were refused for want of a role. Needs "
       "the\n"
       "role admin where the server asks who you are.",
       {{"atelier admin audit", ""},
        {"atelier admin audit --by alice --on models/", "what alice did to models"},
        {"atelier --output=json admin audit --limit 1000", "for programs"}}},
      [options](Session& session) { return Audit(session, *options); }, family);
  command->add_option("--by", options->caller, "Only what this caller did")->type_name("NAME");
  command->add_option("--on", options->resource, "Only resources whose name contains this")
      ->type_name("TEXT");
  command->add_option("--limit", options->limit, "At most so many entries [50]")
      ->type_name("N")
      ->check(Between(1, 1'000'000));
}

}  // namespace atelier::client
