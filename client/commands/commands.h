// All commands, in the order of the help. A new one adds its line here and in commands.cc.
#ifndef ATELIER_CLIENT_COMMANDS_COMMANDS_H_
#define ATELIER_CLIENT_COMMANDS_COMMANDS_H_

#include "client/commands/command_set.h"

namespace atelier::client {

void AddAllCommands(CommandSet* commands);

void AddTrain(CommandSet* commands);
void AddPresets(CommandSet* commands);
void AddRecipes(CommandSet* commands);
void AddNetwork(CommandSet* commands);
void AddContinue(CommandSet* commands);
void AddWatch(CommandSet* commands);
void AddJobs(CommandSet* commands);
void AddShow(CommandSet* commands);
void AddStop(CommandSet* commands);
void AddDelete(CommandSet* commands);
void AddLogs(CommandSet* commands);
void AddConfusion(CommandSet* commands);
void AddEvaluate(CommandSet* commands);
void AddSweep(CommandSet* commands);
void AddExperiments(CommandSet* commands);
void AddCompare(CommandSet* commands);
void AddReport(CommandSet* commands);
void AddClassify(CommandSet* commands);
void AddModels(CommandSet* commands);
void AddAlias(CommandSet* commands);
void AddDownload(CommandSet* commands);
void AddFilters(CommandSet* commands);
void AddFeatures(CommandSet* commands);
void AddExplain(CommandSet* commands);
void AddDatasets(CommandSet* commands);
void AddTop(CommandSet* commands);
void AddHealth(CommandSet* commands);
void AddBench(CommandSet* commands);
void AddAdmin(CommandSet* commands);
void AddHelp(CommandSet* commands);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMMANDS_COMMANDS_H_
