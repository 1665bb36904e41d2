"""Shows jobs and experiments as they run: a table that updates in a notebook, lines in a terminal.

Used by one thread.
"""

from __future__ import annotations

import html
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from atelier.errors import printable
from atelier.fields import enum_word, network_title
from atelier.names import leaf, short_version
from atelier.v1 import experiment_service_pb2, job_pb2

_INTERVAL = 0.25  # Seconds between two updates of what is shown.
_MOST_ROWS = 50  # Of a notebook's table; the newest.
_TITLES = ("epoch", "train loss", "train acc", "val loss", "val acc", "images/s", "time", "")


def state_word(state: int) -> str:
    """`training` for JOB_STATE_TRAINING."""
    return enum_word(job_pb2.JobState.DESCRIPTOR, state)


def what_runs(job: job_pb2.TrainingJob) -> str:
    """What a job does, in a few words."""
    if job.HasField("import"):
        return f"import of {getattr(job, 'import').dataset}"
    if job.HasField("evaluation"):
        return f"evaluation of {short_version(job.evaluation.model_version)} on {job.evaluation.dataset}"
    if job.HasField("check"):
        return f"check of {job.check.dataset}"
    return f"{network_title(job.spec)} on {job.spec.dataset}"


def percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %"


def html_table(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table in HTML; everything in it is escaped."""
    def row(cells: Sequence[Any], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag} style='text-align:right'>{html.escape(str(cell))}</{tag}>"
                                for cell in cells) + "</tr>"
    return (f"<table><thead>{row(titles, 'th')}</thead>"
            f"<tbody>{''.join(row(cells, 'td') for cells in rows)}</tbody></table>")


def _notebook() -> bool:
    """Whether this runs in a notebook, whose front end shows HTML."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


class Screen:
    """Where progress is shown: permanent lines, and one block that is replaced."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._in_notebook = shown and _notebook()
        self._live = shown and not self._in_notebook and sys.stdout.isatty()
        self._handle: Any = None
        self._next = 0.0

    def line(self, text: str) -> None:
        """A permanent line in a terminal; notebooks show the block alone."""
        if self._shown and not self._in_notebook:
            self._clear()
            print(printable(text), flush=True)

    def block(self, status: Callable[[], str], page: Callable[[], str], last: bool = False) -> None:
        """Replaces the block: by the line `status` in a terminal, by the HTML `page` in a notebook."""
        if not last and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _INTERVAL
        if self._in_notebook:
            self._show_html(page())
        elif self._live:
            self._clear()
            if not last:
                width = shutil.get_terminal_size().columns - 1
                print(printable(status())[:width], end="", flush=True)

    def _clear(self) -> None:
        if self._live:
            print("\r\033[K", end="", flush=True)

    def _show_html(self, page: str) -> None:
        from IPython.display import HTML, display  # type: ignore[import-not-found]
        if self._handle is None:
            self._handle = display(HTML(page), display_id=True)
        else:
            self._handle.update(HTML(page))


def epoch_cells(epoch: job_pb2.EpochMetrics) -> tuple[str, ...]:
    """An epoch's row, under _TITLES."""
    return (str(epoch.epoch), f"{epoch.training_loss:.4f}", percent(epoch.training_accuracy),
            f"{epoch.validation_loss:.4f}", percent(epoch.validation_accuracy),
            f"{epoch.images_per_second:,.0f}", f"{epoch.seconds:.1f} s", "★" if epoch.best else "")


class JobProgress:
    """Shows one job's events."""

    def __init__(self, job: job_pb2.TrainingJob, shown: bool) -> None:
        self._screen = Screen(shown)
        self._title = f"{leaf(job.name)}  {what_runs(job)}"
        self._epochs: list[tuple[int, tuple[str, ...]]] = []
        self._status = state_word(job.state)
        self._screen.line(self._title)

    def take(self, event: job_pb2.JobEvent) -> None:
        kind = event.WhichOneof("event")
        if kind == "transition":
            self._status = f"{state_word(event.transition.state)}: {event.transition.message}"
            self._screen.line(f"  {self._status}")
        elif kind == "step":
            step = event.step
            place = f"epoch {step.epoch} of {step.epochs}, step {step.step} of {step.steps_per_epoch}, " \
                    f"training loss {step.training_loss:.4f}" if step.epoch else \
                    f"{step.images:,} of {step.total_images:,} images"  # Of no training.
            self._status = f"{place}, {step.images_per_second:,.0f} images/s"
        elif kind == "epoch":
            self._add(event.number, epoch_cells(event.epoch))
        elif kind == "rewound":
            self._epochs = [row for row in self._epochs if row[0] < event.rewound.first_withdrawn]
            self._screen.line(f"  continues after epoch {event.rewound.epoch}")
        elif kind == "waiting":
            if event.waiting.reason:
                self._status = event.waiting.reason
            elif event.waiting.HasField("queue_position"):
                self._status = f"queued, {event.waiting.queue_position} jobs ahead of it"
        self._show()

    def notice(self, lost: bool) -> None:
        self._status = "connection lost, reconnecting" if lost else "connection restored"
        self._screen.line(f"  {self._status}")
        self._show()

    def end(self, job: job_pb2.TrainingJob) -> None:
        self._status = state_word(job.state)
        if job.HasField("result"):
            self._status += f", test accuracy {percent(job.result.test_accuracy)}"
        if job.HasField("evaluation_result"):
            self._status += f", accuracy {percent(job.evaluation_result.accuracy)}"
        if job.HasField("check_result"):
            self._status += f", {job.check_result.suspicious_count:,} suspicious labels"
        self._screen.line(f"  {self._status}")
        self._show(last=True)

    def _add(self, number: int, cells: tuple[str, ...]) -> None:
        def aligned(row: Sequence[str]) -> str:
            return " ".join(f"{cell:>10}" for cell in row).rstrip()
        if not self._epochs:
            self._screen.line(aligned(_TITLES))
        self._epochs.append((number, cells))
        del self._epochs[:-_MOST_ROWS]
        self._screen.line(aligned(cells))

    def _show(self, last: bool = False) -> None:
        self._screen.block(lambda: f"  {self._status}", self._page, last)

    def _page(self) -> str:
        rows = [cells for _, cells in self._epochs]
        return (f"<p><b>{html.escape(self._title)}</b><br>{html.escape(self._status)}</p>"
                f"{html_table(_TITLES, rows)}")


class ExperimentProgress:
    """Shows an experiment's runs."""

    def __init__(self, name: str, shown: bool) -> None:
        self._screen = Screen(shown)
        self._name = name.removeprefix("experiments/")
        self._seen: set[int] = set()
        self._screen.line(self._name)

    def take(self, experiment: experiment_service_pb2.Experiment, last: bool = False) -> None:
        for run in experiment.runs:
            if run.message and run.index not in self._seen:
                self._seen.add(run.index)
                accuracy = f", test accuracy {percent(run.result.test_accuracy)}" \
                    if run.HasField("result") else ""
                self._screen.line(f"  {self._run(experiment, run)}: {run.message}{accuracy}")
        self._screen.block(lambda: f"  {self._counts(experiment)}", lambda: self._page(experiment), last)

    def notice(self, lost: bool) -> None:
        self._screen.line("  connection lost, reconnecting" if lost else "  connection restored")

    @staticmethod
    def _run(experiment: experiment_service_pb2.Experiment,
             run: experiment_service_pb2.ExperimentRun) -> str:
        title = network_title(experiment.configurations[run.configuration])
        return f"run {run.index + 1}, {title}, seed {run.seed}"

    @staticmethod
    def _counts(experiment: experiment_service_pb2.Experiment) -> str:
        kinds = experiment_service_pb2.RunState.DESCRIPTOR
        return ", ".join(f"{count.count} {enum_word(kinds, count.state)}"
                         for count in experiment.run_counts)

    def _page(self, experiment: experiment_service_pb2.Experiment) -> str:
        kinds = experiment_service_pb2.RunState.DESCRIPTOR
        rows = []
        waiting = experiment_service_pb2.RUN_STATE_WAITING
        for run in [run for run in experiment.runs if run.state != waiting][-_MOST_ROWS:]:
            epochs = run.result.epochs_trained or run.latest_epoch.epoch
            accuracy = percent(run.result.test_accuracy) if run.HasField("result") else ""
            rows.append((run.index + 1, network_title(experiment.configurations[run.configuration]),
                         run.seed, enum_word(kinds, run.state), epochs or "", accuracy))
        return (f"<p><b>{html.escape(self._name)}</b><br>{html.escape(self._counts(experiment))}</p>"
                + html_table(("run", "network", "seed", "state", "epochs", "test accuracy"), rows))
