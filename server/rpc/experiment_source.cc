#include "server/rpc/experiment_source.h"

#include <functional>
#include <memory>

#include "server/jobs/experiment_state.h"

namespace atelier::rpc {

absl::StatusOr<Batch<v1::ExperimentUpdate>> ExperimentSource::Produce() {
  auto view = controller_->Look(id_);
  if (!view.ok()) return view.status();
  version_ = view->version;
  auto update = std::make_shared<v1::ExperimentUpdate>();
  v1::Experiment* const experiment = update->mutable_experiment();
  *experiment = std::move(view->experiment);
  google::protobuf::RepeatedPtrField<v1::ExperimentRun> runs;
  runs.Swap(experiment->mutable_runs());
  sent_.resize(static_cast<std::size_t>(runs.size()));
  for (int i = 0; i < runs.size(); ++i) {
    std::size_t& sent = sent_[static_cast<std::size_t>(i)];
    const std::size_t now = std::hash<std::string>()(runs.Get(i).SerializeAsString());
    if (!begun_ || sent != now) experiment->add_runs()->Swap(runs.Mutable(i));
    sent = now;
  }
  Batch<v1::ExperimentUpdate> batch;
  batch.ended = jobs::IsTerminal(experiment->state());
  if (begun_) {
    experiment->clear_configurations();
    experiment->clear_seeds();
  }
  if (!begun_ || experiment->runs_size() > 0 || experiment->state() != state_) {
    batch.messages.push_back(update);
  }
  begun_ = true;
  state_ = experiment->state();
  return batch;
}

bool ExperimentSource::Await(std::function<void()> wake) {
  subscription_ = controller_->Subscribe(id_, version_, std::move(wake));
  return subscription_.has_value();
}

bool ExperimentSource::TakeBack() {
  return subscription_.has_value() && controller_->Unsubscribe(id_, *subscription_);
}

std::shared_ptr<const v1::ExperimentUpdate> ExperimentSource::StillThere() {
  auto view = controller_->Look(id_);
  if (!begun_ || !view.ok()) return nullptr;
  auto update = std::make_shared<v1::ExperimentUpdate>();
  update->mutable_experiment()->Swap(&view->experiment);
  update->mutable_experiment()->clear_configurations();
  update->mutable_experiment()->clear_seeds();
  update->mutable_experiment()->clear_runs();
  return update;
}

}  // namespace atelier::rpc
