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

// The data set NAME, NAME@VERSION, or of a resource name.
absl::StatusOr<v1::Dataset> FetchDataset(Session& session, const std::string& text);

// All that is known of it; `all_classes` as DatasetText, and a line per class in CSV.
void PrintDataset(Session& session, const v1::Dataset& dataset, bool all_classes = false);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMMANDS_DATASET_COMMANDS_H_
