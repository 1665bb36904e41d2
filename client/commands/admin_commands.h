// The commands of the family `admin`.
#ifndef ATELIER_CLIENT_COMMANDS_ADMIN_COMMANDS_H_
#define ATELIER_CLIENT_COMMANDS_ADMIN_COMMANDS_H_

#include "client/commands/command_set.h"

namespace atelier::client {

void AddAdminAudit(CommandSet* commands, CLI::App* family);
void AddAdminBackup(CommandSet* commands, CLI::App* family);
void AddAdminToken(CommandSet* commands, CLI::App* family);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMMANDS_ADMIN_COMMANDS_H_
