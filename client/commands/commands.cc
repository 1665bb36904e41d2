#include "client/commands/commands.h"

namespace atelier::client {

void AddAllCommands(CommandSet* commands) {
  commands->BeginGroup("Training");
  AddTrain(commands);
  AddPresets(commands);
  AddRecipes(commands);
  AddNetwork(commands);
  AddContinue(commands);
  AddWatch(commands);
  AddJobs(commands);
  AddShow(commands);
  AddStop(commands);
  AddDelete(commands);
  AddLogs(commands);
  AddConfusion(commands);
  AddEvaluate(commands);
  commands->BeginGroup("Experiments");
  AddSweep(commands);
  AddExperiments(commands);
  AddCompare(commands);
  AddReport(commands);
  commands->BeginGroup("Models");
  AddClassify(commands);
  AddModels(commands);
  AddAlias(commands);
  AddDownload(commands);
  AddFilters(commands);
  AddFeatures(commands);
  AddExplain(commands);
  commands->BeginGroup("Server");
  AddDatasets(commands);
  AddTop(commands);
  AddHealth(commands);
  AddBench(commands);
  AddAdmin(commands);
  commands->BeginGroup("Help");
  AddHelp(commands);
}

}  // namespace atelier::client
