// `atelier admin`: who may use a server; `admin whoami` asks who the server takes the caller for.
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "client/commands/admin_commands.h"
#include "client/commands/commands.h"
#include "client/terminal/exit_codes.h"

namespace atelier::client {
namespace {

std::string RoleWord(v1::CallerRole role) {
  return absl::AsciiStrToLower(absl::StripPrefix(v1::CallerRole_Name(role), "CALLER_ROLE_"));
}

absl::StatusOr<int> WhoAmI(Session& session) {
  const auto caller = session.Call(&AdminService::GetCaller, v1::GetCallerRequest());
  if (!caller.ok()) return caller.status();
  const std::string role = RoleWord(caller->role());
  std::vector<std::string> limits;
  for (const v1::CallerLimit& limit : caller->limits()) {
    limits.push_back(absl::StrCat(limit.name(), "=", limit.value()));
  }
  if (session.format() == OutputFormat::kJson) session.PrintJson(*caller);
  if (session.format() == OutputFormat::kCsv) {
    session.Print(
        CsvLine({"name", "role", "credential", "limits"}) +
        CsvLine({caller->name(), role, caller->credential(), absl::StrJoin(limits, " ")}));
  }
  if (!session.text()) return kDone;
  if (caller->credential() == "none") {
    session.Print("The server asks nobody who they are; everybody may do everything.\n");
  } else {
    session.Print(absl::StrCat(caller->name(), ", ", role, ", by ", caller->credential(), "\n"));
    if (!limits.empty()) session.Print(absl::StrCat("at most ", absl::StrJoin(limits, ", "), "\n"));
  }
  return kDone;
}

}  // namespace

void AddAdmin(CommandSet* commands) {
  CLI::App* const family = commands->AddFamily("admin", "See and say who may use a server");
  commands->Add({"whoami",
                 "Ask who the server takes you for, and what you may do",
                 "",
                 {{"atelier admin whoami", ""},
                  {"atelier --context lab admin whoami", "at a server of the configuration file"}}},
                WhoAmI, family);
  AddAdminAudit(commands, family);
  AddAdminBackup(commands, family);
  AddAdminToken(commands, family);
}

}  // namespace atelier::client
