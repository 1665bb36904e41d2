// `atelier admin backup`: a copy of everything that the server keeps, in one file.
#include <memory>

#include "absl/strings/str_cat.h"
#include "client/calls/download.h"
#include "client/commands/admin_commands.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/terminal/interrupt.h"
#include "client/terminal/progress_bar.h"
#include "nlohmann/json.hpp"

namespace atelier::client {
namespace {

void PrintDone(Session& session, const Downloaded& done) {
  switch (session.format()) {
    case OutputFormat::kText:
      session.Print(absl::StrCat("Wrote ", EscapeControls(done.path), ": ", Bytes(done.bytes),
                                 ", SHA-256 checked.\n"));
      break;
    case OutputFormat::kJson:
      session.Print(
          nlohmann::json{{"path", done.path}, {"bytes", done.bytes}, {"sha256", done.sha256}}
              .dump() +
          "\n");
      break;
    case OutputFormat::kCsv:
      session.Print(CsvLine({"path", "bytes", "sha256"}) +
                    CsvLine({done.path, absl::StrCat(done.bytes), done.sha256}));
      break;
  }
}

absl::StatusOr<int> Backup(Session& session, BackupOptions options) {
  auto connection = session.Connect();
  if (!connection.ok()) return connection.status();
  ProgressBar bar(session.terminal(), session.text());
  options.progress = [&bar](std::int64_t received, std::int64_t total) {
    if (total <= 0) return;
    bar.Show(static_cast<double>(received) / static_cast<double>(total), Bytes(received));
  };
  const Interrupt interrupt;
  options.interrupted = [&session] { return session.interrupted(); };
  const auto done = DownloadBackup(*connection, options);
  bar.Clear();
  if (!done.ok()) return done.status();
  PrintDone(session, *done);
  return kDone;
}

}  // namespace

void AddAdminBackup(CommandSet* commands, CLI::App* family) {
  const auto options = std::make_shared<BackupOptions>();
  CLI::App* const command = commands->Add(
      {"backup",
       "Write a backup of the server's data directory",
       "Everything that the server keeps, as it is at this moment, in one tar archive; jobs go on\n"
       "meanwhile. On the server's machine `atelierd --restore FILE --data_dir DIR` makes a data\n"
       "directory of it. Needs the role admin where the server asks who you are.",
       {{"atelier admin backup atelier.tar", ""},
        {"atelier admin backup /mnt/nightly.tar --force", "replaces the last one"}}},
      [options](Session& session) { return Backup(session, *options); }, family);
  command->add_option("FILE", options->path, "Where to write it")->required();
  command->add_flag("--force", options->force, "Replace an existing file");
}

}  // namespace atelier::client
