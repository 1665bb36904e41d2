// The configurations of a sweep: lists of values become a grid, or a sample of it. Thread-safe:
// pure functions.
#ifndef ATELIER_CLIENT_COMPARING_SWEEP_GRID_H_
#define ATELIER_CLIENT_COMPARING_SWEEP_GRID_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "atelier/v1/experiment_service.pb.h"

namespace atelier::client {

// What the command line says.
struct SweepOptions {
  // By flag, such as `--epochs`: the values, separated by commas.
  std::map<std::string, std::string> values;
  std::string seed;           // --seed: one, or a list.
  std::optional<int> seeds;   // --seeds: how many, from the one in `seed` on, or from 1.
  std::optional<int> random;  // --random: so many configurations of the grid.
  std::string name;           // --name.
};

// Every combination of the values, or `random` of them, none twice, drawn by the first seed. The
// order of the options is that of the specification's fields, the first option's values changing
// slowest. INVALID_ARGUMENT naming the option that is wrong, also if there are more runs than the
// server takes.
absl::StatusOr<v1::StartExperimentRequest> MakeSweep(const SweepOptions& options);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMPARING_SWEEP_GRID_H_
