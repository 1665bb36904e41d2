// The commands after `datasets`, a file for each.
#ifndef ATELIER_CLIENT_COMMANDS_DATASET_COMMANDS_H_
#define ATELIER_CLIENT_COMMANDS_DATASET_COMMANDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/commands/command_set.h"
#include "client/commands/follow.h"
#include "client/commands/follow_scoring.h"

namespace atelier::client {

void AddDatasetPush(CommandSet* commands, CLI::App* family);
void AddDatasetCheck(CommandSet* commands, CLI::App* family);
void AddDatasetShow(CommandSet* commands, CLI::App* family);
void AddDatasetImages(CommandSet* commands, CLI::App* family);
void AddDatasetPull(CommandSet* commands, CLI::App* family);
void AddDatasetDelete(CommandSet* commands, CLI::App* family);

struct PushOptions {
  std::string name;
  std::vector<std::string> paths;
  v1::ImportOptions import;
  std::optional<std::int32_t> cores;         // Of the import.
  std::optional<std::int64_t> memory_bytes;  // Of the import.
  bool check = false;                        // Checks the version afterwards.
  bool detach = false;
  FollowOptions follow;
};

// Pushes files and waits for their version, `datasets/{dataset}/versions/{version}`, of which
// nothing is sent if it is there. Returns the exit code; `version` is set if that is kDone.
absl::StatusOr<int> PushToVersion(Session& session, const PushOptions& options,
                                  std::string* version);

// Starts a check of a data set and follows it, as `datasets check` does.
absl::StatusOr<int> CheckDataset(Session& session, v1::CheckDatasetRequest request,
                                 const ScoringOptions& options);

// The data set NAME, NAME@VERSION, or of a resource name.
absl::StatusOr<v1::Dataset> FetchDataset(Session& session, const std::string& text);

// All that is known of it; `all_classes` as DatasetText, and a line per class in CSV.
void PrintDataset(Session& session, const v1::Dataset& dataset, bool all_classes = false);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMMANDS_DATASET_COMMANDS_H_
