"""An experiment: training jobs for every combination of configurations and seeds.

Used by one thread."""

from __future__ import annotations

from typing import Any

from atelier import following
from atelier.comparison import FIGURES, Comparison, trials_of_experiment
from atelier.connection import Connection
from atelier.fields import enum_word
from atelier.job import Job
from atelier.names import leaf
from atelier.progress import ExperimentProgress
from atelier.v1 import experiment_service_pb2, training_service_pb2


class Experiment:
    """One experiment. Made by Client.sweep, Client.experiment and Client.experiments.

    `message` is the Experiment as the server described it last; those of a list have no runs before
    refresh().
    """

    def __init__(self, connection: Connection, message: experiment_service_pb2.Experiment) -> None:
        self._connection = connection
        self.message = message

    @property
    def name(self) -> str:
        """`experiments/{experiment}`."""
        return self.message.name

    @property
    def id(self) -> str:
        """The name without `experiments/`."""
        return leaf(self.message.name)

    @property
    def state(self) -> str:
        """`running`, `stopping`, `completed` or `stopped`, as last fetched."""
        return enum_word(experiment_service_pb2.ExperimentState.DESCRIPTOR, self.message.state)

    @property
    def runs(self) -> list[experiment_service_pb2.ExperimentRun]:
        """One for each configuration and seed, as last fetched."""
        return list(self.message.runs)

    def refresh(self) -> Experiment:
        """Fetches the experiment with all its runs; returns it. NotFound if it was deleted."""
        request = experiment_service_pb2.GetExperimentRequest(name=self.name)
        self.message = self._connection.call(self._connection.experiments.GetExperiment, request,
                                             repeats=2)
        return self

    def wait(self, progress: bool = True, patience: float = following.PATIENCE) -> Experiment:
        """Waits until all runs have ended; returns the experiment. Failed runs raise nothing.

        `progress` and `patience` as in Job.wait. Ctrl-C ends the waiting, not the experiment.
        """
        view = ExperimentProgress(self.name, progress)
        for experiment in following.follow_experiment(self._connection, self.name,
                                                      patience=patience, notice=view.notice):
            view.take(experiment)
        self.refresh()
        view.take(self.message, last=True)
        return self

    def jobs(self) -> list[Job]:
        """The jobs of the runs that became one and still have it, in the order of the runs."""
        self.refresh()
        deleted = experiment_service_pb2.RUN_STATE_DELETED
        return [Job(self._connection, self._connection.call(
            self._connection.training.GetJob, training_service_pb2.GetJobRequest(name=run.job),
            repeats=1)) for run in self.message.runs if run.job and run.state != deleted]

    def compare(self) -> Comparison:
        """The configurations side by side, with mean and standard deviation over the seeds."""
        return Comparison(trials_of_experiment(self.refresh().message))

    def columns(self) -> dict[str, list[Any]]:
        """A row for each run, for pandas.DataFrame: network, seed, state, job, and its result.

        Values of runs without a result are None. Accuracies are fractions.
        """
        states = experiment_service_pb2.RunState.DESCRIPTOR
        runs = self.refresh().message.runs
        comparison = Comparison(trials_of_experiment(self.message))
        # Runs begin with every configuration in its order, and no two are the same.
        labels = [comparison.label(each) for each in comparison.configurations]
        rows: dict[str, list[Any]] = {
            "configuration": [labels[run.configuration] for run in runs],
            "seed": [run.seed for run in runs],
            "state": [enum_word(states, run.state) for run in runs],
            "job": [leaf(run.job) for run in runs]}
        for figure in FIGURES:
            rows[figure] = [getattr(run.result, figure) if run.HasField("result") else None
                            for run in runs]
        return rows

    def stop(self) -> Experiment:
        """Drops the runs that wait and stops the others; returns the experiment at once.

        FailedPrecondition once it is completed.
        """
        request = experiment_service_pb2.StopExperimentRequest(name=self.name)
        self.message = self._connection.call(self._connection.experiments.StopExperiment, request,
                                             repeats=2)
        return self

    def delete(self) -> None:
        """Deletes an ended experiment; its jobs and models are kept."""
        request = experiment_service_pb2.DeleteExperimentRequest(name=self.name)
        self._connection.call(self._connection.experiments.DeleteExperiment, request)

    def __repr__(self) -> str:
        return (f"<Experiment {self.id}: {len(self.message.configurations)} configurations × "
                f"{len(self.message.seeds)} seeds, {self.state}>")
