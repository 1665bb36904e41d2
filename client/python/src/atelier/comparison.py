"""Trainings side by side: those that differ in nothing but the seed are trials of one configuration.

Thread-safe: nothing changes after construction.
"""

from __future__ import annotations

import html
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from atelier.errors import FailedPrecondition, printable
from atelier.fields import enum_word, network_title, spec_fields, value_text
from atelier.names import leaf
from atelier.progress import html_table, state_word
from atelier.v1 import experiment_service_pb2, job_pb2

# What tables show of a TrainingResult.
FIGURES = ("test_accuracy", "test_loss", "validation_accuracy", "validation_loss", "best_epoch",
           "epochs_trained", "training_seconds")

# What only says where a model is kept, or follows from the preset, is not compared.
_NOT_COMPARED = ("seed", "conv_depth", "model_name", "priority", "slurm_args", "nodes")


@dataclass(frozen=True)
class Trial:
    """One training."""

    spec: job_pb2.TrainingSpec
    state: str
    result: job_pb2.TrainingResult | None


def trial_of_job(job: job_pb2.TrainingJob) -> Trial:
    """FailedPrecondition for a job that is no training."""
    if not job.HasField("spec"):
        raise FailedPrecondition(f"The job {printable(leaf(job.name))} trains nothing; name trainings.")
    return Trial(job.spec, state_word(job.state),
                 job.result if job.HasField("result") else None)


def trials_of_experiment(experiment: experiment_service_pb2.Experiment) -> list[Trial]:
    trials = []
    for run in experiment.runs:
        spec = job_pb2.TrainingSpec()
        spec.CopyFrom(experiment.configurations[run.configuration])
        spec.seed = run.seed
        trials.append(Trial(spec, enum_word(experiment_service_pb2.RunState.DESCRIPTOR, run.state),
                            run.result if run.HasField("result") else None))
    return trials


@dataclass
class Configuration:
    """What several seeds were trained with."""

    spec: job_pb2.TrainingSpec
    trials: list[Trial] = field(default_factory=list)

    def results(self) -> list[job_pb2.TrainingResult]:
        """The results that count, one for each seed: of completed trials, else of stopped ones."""
        for state in ("completed", "stopped"):
            # The same seed gives the same weights, so training it again measures nothing new.
            found: dict[int, job_pb2.TrainingResult] = {}
            for trial in self.trials:
                if trial.state == state and trial.result is not None:
                    found.setdefault(trial.spec.seed, trial.result)
            if found:
                return list(found.values())
        return []

    def mean(self, figure: str) -> float | None:
        """The mean of a field of TrainingResult; None without results."""
        values = self.values(figure)
        return statistics.fmean(values) if values else None

    def deviation(self, figure: str) -> float | None:
        """The standard deviation (divided by n − 1); None below two results."""
        values = self.values(figure)
        return statistics.stdev(values) if len(values) > 1 else None

    def values(self, figure: str) -> list[float]:
        """A field of TrainingResult for each seed."""
        return [getattr(result, figure) for result in self.results()]


def _key(spec: job_pb2.TrainingSpec) -> bytes:
    without = job_pb2.TrainingSpec()
    without.CopyFrom(spec)
    without.ClearField("seed")
    return without.SerializeToString(deterministic=True)


class Comparison:
    """Configurations with the mean and standard deviation of their results over the seeds."""

    def __init__(self, trials: Iterable[Trial]) -> None:
        found: dict[bytes, Configuration] = {}
        for trial in trials:
            found.setdefault(_key(trial.spec), Configuration(trial.spec)).trials.append(trial)
        #: In the order in which they came.
        self.configurations = list(found.values())
        #: Names of the fields of TrainingSpec in which they differ.
        self.differing = [
            name for name, described in spec_fields().items() if name not in _NOT_COMPARED
            and len({value_text(each.spec, described) for each in self.configurations}) > 1]

    def label(self, configuration: Configuration) -> str:
        """A configuration in a few words: the network, and the value of what else differs."""
        words = [network_title(configuration.spec)]
        for name in self.differing:
            if name not in ("preset", "network"):
                words.append(f"{name} {value_text(configuration.spec, spec_fields()[name])}")
        return ", ".join(words)

    def columns(self) -> dict[str, list[Any]]:
        """A row for each configuration, for pandas.DataFrame.

        Accuracies are fractions, times seconds; `…_std` is the standard deviation over the seeds,
        None for one seed.
        """
        rows: dict[str, list[Any]] = {
            "configuration": [self.label(each) for each in self.configurations],
            "seeds": [len(each.results()) for each in self.configurations],
            "parameters": [each.mean("parameter_count") for each in self.configurations]}
        for figure in FIGURES:
            rows[figure] = [each.mean(figure) for each in self.configurations]
            rows[f"{figure}_std"] = [each.deviation(figure) for each in self.configurations]
        return rows

    @property
    def warning(self) -> str:
        """A sentence if the results are of different data, else empty."""
        names = sorted({each.spec.dataset for each in self.configurations})
        if len(names) > 1:
            return f"Different data sets ({', '.join(names)}): these accuracies cannot be compared."
        checksums = {result.dataset_checksum for each in self.configurations
                     for result in each.results() if result.dataset_checksum}
        if len(checksums) > 1:
            return (f"The content of {names[0]} changed between these runs: their accuracies cannot be "
                    "compared.")
        return ""

    def best(self) -> Configuration | None:
        """The highest mean validation accuracy; None without results or of different data."""
        known = [each for each in self.configurations if each.results()]
        if not known or self.warning:
            return None
        return max(known, key=lambda each: each.mean("validation_accuracy") or 0.0)

    def cheapest(self) -> Configuration | None:
        """The smallest within one standard error of the best's mean validation accuracy.

        Of equals the fastest. None where the best has one seed alone, so that there is no error.
        """
        best = self.best()
        deviation = best.deviation("validation_accuracy") if best else None
        if best is None or deviation is None:
            return None
        bound = (best.mean("validation_accuracy") or 0.0) - deviation / len(best.results()) ** 0.5
        near = [each for each in self.configurations
                if each.results() and (each.mean("validation_accuracy") or 0.0) >= bound]
        return min(near, key=lambda each: (each.mean("parameter_count") or 0.0,
                                           each.mean("training_seconds") or 0.0))

    @property
    def recommendation(self) -> str:
        """What the validation images say, in sentences; the test images choose nothing."""
        best, cheapest = self.best(), self.cheapest()
        if self.warning or best is None:
            return self.warning
        text = f"Best on the validation images: {self.label(best)}."
        if cheapest is None:
            return text + " It has only one seed, so its random variation is unknown."
        if cheapest is best:
            return text + " Nothing cheaper is within one standard error of it."
        return text + f" Cheapest within one standard error of it: {self.label(cheapest)}."

    def _rows(self) -> list[tuple[Any, ...]]:
        def spread(each: Configuration, figure: str, factor: float, digits: int) -> str:
            mean, deviation = each.mean(figure), each.deviation(figure)
            if mean is None:
                return ""
            error = f" ± {factor * deviation:.{digits}f}" if deviation is not None else ""
            return f"{factor * mean:.{digits}f}{error}"
        return [(self.label(each), len(each.results()), f"{each.mean('parameter_count') or 0:,.0f}",
                 spread(each, "test_accuracy", 100, 2), spread(each, "test_loss", 1, 4),
                 spread(each, "validation_accuracy", 100, 2), spread(each, "training_seconds", 1, 1))
                for each in self.configurations]

    _TITLES = ("configuration", "seeds", "parameters", "test accuracy, %", "test loss",
               "validation accuracy, %", "training, s")

    def _repr_html_(self) -> str:
        return html_table(self._TITLES, self._rows()) + f"<p>{html.escape(self.recommendation)}</p>"

    def __repr__(self) -> str:
        lines = [" | ".join(map(str, row)) for row in [self._TITLES, *self._rows()]]
        return "\n".join([*lines, self.recommendation])
