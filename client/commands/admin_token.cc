// `atelier admin token`: adds, lists and removes tokens in a server's access file, on its machine.
#include <algorithm>
#include <cstdlib>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/commands/admin_commands.h"
#include "client/files/shared_file.h"
#include "client/terminal/display_text.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/table.h"
#include "nlohmann/json.hpp"
#include "proto/access/access_file.h"
#include "proto/access/token.h"

namespace atelier::client {
namespace {

using access::Credential;

constexpr char kDefaultFile[] = "/etc/atelier/access";

struct TokenOptions {
  std::string file;
  std::string name;
  std::string role;
};

absl::Status Unusable(const std::string& file, const absl::Status& why) {
  return absl::InvalidArgumentError(absl::StrCat(EscapeControls(file), ", ", why.message(), "."));
}

// The file's content and one more token, if both are right.
absl::StatusOr<std::string> Added(const std::string& file, const std::string& content,
                                  const Credential& token) {
  const auto before = access::ParseAccessFile(content);
  if (!before.ok()) return Unusable(file, before.status());
  for (const Credential& credential : *before) {
    if (credential.name == token.name && credential.role != token.role) {
      return absl::InvalidArgumentError(absl::StrCat(
          token.name, " has the role ", access::RoleWord(credential.role),
          " already, and one caller has one role: use that, or remove the others first."));
    }
  }
  return access::WithToken(content, token);
}

absl::StatusOr<int> Add(Session& session, const TokenOptions& options) {
  if (auto status = access::CheckCallerName(options.name); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("NAME: ", status.message(), "."));
  }
  const auto role = access::RoleOf(options.role);
  if (!role.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat("--role: '", EscapeControls(options.role),
                                                   "' is not ", access::kRoleWords, "."));
  }
  const access::NewToken made = access::MakeToken();
  const Credential token = {
      .name = options.name,
      .role = *role,
      .id = made.id,
      .sha256 = made.sha256,
      .created = absl::FormatTime("%Y-%m-%d", absl::Now(), absl::UTCTimeZone())};
  const auto edit = [&](const std::string& content) { return Added(options.file, content, token); };
  const absl::Status added = EditSharedFile(options.file, access::kMaxAccessFileBytes, edit);
  if (!added.ok()) return added;
  if (session.format() == OutputFormat::kJson) {
    session.Print(
        nlohmann::json{
            {"name", token.name}, {"role", options.role}, {"id", token.id}, {"token", made.text}}
            .dump() +
        "\n");
    return kDone;
  }
  session.Print(made.text + "\n");
  session.terminal().err << "The token " << token.id << " of " << token.name << ", " << options.role
                         << ", is in " << EscapeControls(options.file)
                         << " as a hash; it is shown this once.\n";
  return kDone;
}

constexpr const char* kColumns[] = {"name", "role", "credential", "id", "created"};

std::vector<std::string> CellsOf(const Credential& credential) {
  return {credential.name, std::string(access::RoleWord(credential.role)),
          credential.kind == Credential::Kind::kToken ? "token" : "certificate", credential.id,
          credential.created};
}

std::string JsonOf(const std::vector<std::string>& cells) {
  nlohmann::ordered_json object;
  for (std::size_t i = 0; i < cells.size(); ++i) object[kColumns[i]] = cells[i];
  return object.dump() + "\n";
}

absl::StatusOr<int> List(Session& session, const TokenOptions& options) {
  const auto content = ReadSharedFile(options.file, access::kMaxAccessFileBytes);
  if (!content.ok()) return content.status();
  const auto credentials = access::ParseAccessFile(*content);
  if (!credentials.ok()) return Unusable(options.file, credentials.status());
  std::vector<Table::Column> columns;
  for (const char* title : kColumns) columns.push_back({title});
  Table table(columns);
  if (session.format() == OutputFormat::kCsv) {
    session.Print(CsvLine({std::begin(kColumns), std::end(kColumns)}));
  }
  for (const Credential& credential : *credentials) {
    const std::vector<std::string> cells = CellsOf(credential);
    if (session.format() == OutputFormat::kCsv) session.Print(CsvLine(cells));
    if (session.format() == OutputFormat::kJson) session.Print(JsonOf(cells));
    table.AddRow({cells.begin(), cells.end()});
  }
  if (session.text()) session.Print(table.Render(session.style(), session.terminal().width()));
  return kDone;
}

absl::StatusOr<int> Remove(Session& session, const TokenOptions& options) {
  const auto edit = [&](const std::string& content) -> absl::StatusOr<std::string> {
    const auto before = access::ParseAccessFile(content);
    if (!before.ok()) return Unusable(options.file, before.status());
    return access::WithoutToken(content, options.name);
  };
  const absl::Status removed = EditSharedFile(options.file, access::kMaxAccessFileBytes, edit);
  if (!removed.ok()) return removed;
  if (session.text()) {
    session.Print(absl::StrCat("Removed the tokens of ", options.name,
                               "; a running server refuses them within seconds.\n"));
  }
  return kDone;
}

void AddFileOption(CLI::App* command, TokenOptions* options) {
  const char* const named = std::getenv("ATELIER_ACCESS_FILE");
  options->file = named != nullptr && *named != '\0' ? named : kDefaultFile;
  command
      ->add_option("--file", options->file,
                   "The server's --access_file [$ATELIER_ACCESS_FILE or /etc/atelier/access]")
      ->type_name("FILE");
}

}  // namespace

void AddAdminToken(CommandSet* commands, CLI::App* family) {
  CLI::App* const tokens =
      commands->AddFamily("token", "Add, list and remove tokens on the server's machine", family);
  const auto added = std::make_shared<TokenOptions>();
  CLI::App* const add = commands->Add(
      {"add",
       "Make a token and print it, this once",
       "The access file gets its hash. Roles: classify (classify images, for applications), "
       "viewer\n"
       "(also read everything), operator (also start jobs, push data sets, set aliases; stop and\n"
       "delete what is one's own), admin (everything). A second token for the same name lets the\n"
       "first be replaced without a pause.",
       {{"atelier admin token add alice --role operator", ""},
        {"atelier admin token add shop --role classify > shop.token", "for an application"}}},
      [added](Session& session) { return Add(session, *added); }, tokens);
  add->add_option("NAME", added->name, "Who has it")->required()->type_name("");
  add->add_option("--role", added->role, "classify, viewer, operator or admin")
      ->required()
      ->type_name("ROLE");
  AddFileOption(add, added.get());
  const auto listed = std::make_shared<TokenOptions>();
  CLI::App* const list = commands->Add(
      {"list", "List who has tokens and certificates", "", {{"atelier admin token list", ""}}},
      [listed](Session& session) { return List(session, *listed); }, tokens);
  AddFileOption(list, listed.get());
  const auto removed = std::make_shared<TokenOptions>();
  CLI::App* const remove = commands->Add(
      {"remove",
       "Remove tokens; a running server refuses them within seconds",
       "",
       {{"atelier admin token remove alice", "all of alice's"},
        {"atelier admin token remove 3f9a1c2e", "one, by its id"}}},
      [removed](Session& session) { return Remove(session, *removed); }, tokens);
  remove->add_option("NAME", removed->name, "Who has them, or a token's id")
      ->required()
      ->type_name("");
  AddFileOption(remove, removed.get());
}

}  // namespace atelier::client
