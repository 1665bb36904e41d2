// What StreamExperiment sends: an experiment, then what changes of it.
#ifndef ATELIER_SERVER_RPC_EXPERIMENT_SOURCE_H_
#define ATELIER_SERVER_RPC_EXPERIMENT_SOURCE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "atelier/v1/experiment_service.pb.h"
#include "server/jobs/experiment_controller.h"
#include "server/rpc/stream_reactor.h"

namespace atelier::rpc {

class ExperimentSource final : public StreamSource<v1::ExperimentUpdate> {
 public:
  // `controller` must outlive the source.
  ExperimentSource(jobs::ExperimentController* controller, std::string id)
      : controller_(controller), id_(std::move(id)) {}

  absl::StatusOr<Batch<v1::ExperimentUpdate>> Produce() override;
  bool Await(std::function<void()> wake) override;
  bool TakeBack() override;
  // The experiment without anything that changed.
  std::shared_ptr<const v1::ExperimentUpdate> StillThere() override;

 private:
  jobs::ExperimentController* const controller_;
  const std::string id_;
  bool begun_ = false;
  std::uint64_t version_ = 0;      // That was looked at last.
  std::vector<std::size_t> sent_;  // Fingerprints of the runs, as they were sent last.
  v1::ExperimentState state_ = v1::EXPERIMENT_STATE_UNSPECIFIED;  // That was sent last.
  std::optional<std::uint64_t> subscription_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_EXPERIMENT_SOURCE_H_
