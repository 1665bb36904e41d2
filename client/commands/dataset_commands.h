// The commands after `datasets`, a file for each.
#ifndef ATELIER_CLIENT_COMMANDS_DATASET_COMMANDS_H_
#define ATELIER_CLIENT_COMMANDS_DATASET_COMMANDS_H_

#include "client/commands/command_set.h"

namespace atelier::client {

void AddDatasetPush(CommandSet* commands, CLI::App* family);
void AddDatasetShow(CommandSet* commands, CLI::App* family);
void AddDatasetImages(CommandSet* commands, CLI::App* family);
void AddDatasetPull(CommandSet* commands, CLI::App* family);
void AddDatasetDelete(CommandSet* commands, CLI::App* family);

// An option `--split` that sets one of the splits.
void AddSplitOption(CLI::App* command, const std::function<void(v1::DatasetSplit)>& set);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMMANDS_DATASET_COMMANDS_H_
