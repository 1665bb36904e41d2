"""A job: what it is, how it goes, and what came out. Used by one thread."""

from __future__ import annotations

import codecs
import html
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from atelier import following
from atelier.confusion import Confusion
from atelier.connection import Connection
from atelier.errors import FailedPrecondition, JobFailed
from atelier.fields import spec_fields, value_text
from atelier.names import leaf
from atelier.progress import JobProgress, html_table, state_word, what_runs
from atelier.v1 import job_pb2, training_service_pb2

if TYPE_CHECKING:
    from atelier.model import Model

_ENDED = (job_pb2.JOB_STATE_COMPLETED, job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_STOPPED)


class Job:
    """One job. Made by Client.train, Client.job and Client.jobs, Model.evaluate and Dataset.check.

    `message` is the TrainingJob as the server described it last; properties read it, and refresh()
    fetches it anew.
    """

    def __init__(self, connection: Connection, message: job_pb2.TrainingJob) -> None:
        self._connection = connection
        self.message = message

    @property
    def name(self) -> str:
        """`jobs/{job}`."""
        return self.message.name

    @property
    def id(self) -> str:
        """The name without `jobs/`."""
        return leaf(self.message.name)

    @property
    def spec(self) -> job_pb2.TrainingSpec:
        """What is trained, with every default filled in."""
        return self.message.spec

    @property
    def state(self) -> str:
        """`queued`, `training`, `completed`, `failed`, `stopped` and so on, as last fetched."""
        return state_word(self.message.state)

    @property
    def ended(self) -> bool:
        """Whether the job had ended when it was last fetched."""
        return self.message.state in _ENDED

    @property
    def result(self) -> job_pb2.TrainingResult | None:
        """What came out, with accuracies as fractions; None before the job has ended, or without one."""
        if not self.ended:
            self.refresh()
        return self.message.result if self.message.HasField("result") else None

    @property
    def evaluation(self) -> job_pb2.EvaluationResult | None:
        """What an evaluation measured, with accuracies as fractions; None before it has ended."""
        if not self.ended:
            self.refresh()
        return self.message.evaluation_result if self.message.HasField("evaluation_result") else None

    @property
    def check(self) -> job_pb2.CheckResult | None:
        """What a check of a data set found; None before it has ended."""
        if not self.ended:
            self.refresh()
        return self.message.check_result if self.message.HasField("check_result") else None

    @property
    def model(self) -> Model:
        """The model that the job made. FailedPrecondition if it made none."""
        from atelier.model import get_model
        if self.result is None or not self.result.model_version:
            raise FailedPrecondition(f"The job {self.id} is {self.state} and has no model.")
        return get_model(self._connection, self.result.model_version)

    def refresh(self) -> Job:
        """Fetches the job anew; returns it. NotFound if it was deleted."""
        request = training_service_pb2.GetJobRequest(name=self.name)
        self.message = self._connection.call(self._connection.training.GetJob, request, repeats=2)
        return self

    def wait(self, progress: bool = True, patience: float = following.PATIENCE) -> Job:
        """Waits until the job has ended; returns it.

        `progress` shows a table that updates in a notebook, and lines in a terminal. A server that
        is away is waited for `patience` seconds, then Unavailable is raised. JobFailed if the job
        fails; a job that is stopped is returned. Ctrl-C ends the waiting, not the job.
        """
        view = JobProgress(self.message, progress)
        for event in following.follow_job(self._connection, self.name, epochs_only=not progress,
                                          patience=patience, notice=view.notice):
            view.take(event)
        self.refresh()
        view.end(self.message)
        if self.message.state == job_pb2.JOB_STATE_FAILED:
            last = self.message.transitions[-1]
            raise JobFailed(f"The job {self.id} failed: {last.message}", last.reason, self)
        return self

    def events(self, after: int = 0,
               patience: float = following.PATIENCE) -> Iterator[job_pb2.JobEvent]:
        """Every event with a number above `after`, each once, live until the job has ended.

        Breaks of the connection and restarts of the server are bridged. A `rewound` event withdraws
        earlier ones: the job continues from an older checkpoint.
        """
        for event in following.follow_job(self._connection, self.name, after=after,
                                          patience=patience):
            if event.WhichOneof("event") != "waiting":
                yield event

    def metrics(self, patience: float = following.PATIENCE) -> Iterator[job_pb2.EpochMetrics]:
        """The metrics of every epoch, each epoch once, live until the job has ended.

        Losses are mean cross-entropies, accuracies fractions. Breaks of the connection and restarts
        of the server are bridged. An epoch that is trained anew from a checkpoint is not repeated:
        the same specification and seed give the same metrics.
        """
        last = 0
        for event in following.follow_job(self._connection, self.name, epochs_only=True,
                                          patience=patience):
            if event.HasField("epoch") and event.epoch.epoch > last:
                last = event.epoch.epoch
                yield event.epoch

    def columns(self) -> dict[str, list[Any]]:
        """The metrics of all epochs so far by column, as pandas.DataFrame takes them.

        The columns are the fields of EpochMetrics: epoch, training_loss, validation_accuracy …
        """
        if not self.ended:
            self.refresh()
        epochs = following.epochs_so_far(self._connection, self.name, self.ended,
                                         self.message.progress.epoch)
        return {field.name: [getattr(epoch, field.name) for epoch in epochs]
                for field in job_pb2.EpochMetrics.DESCRIPTOR.fields}

    def stop(self) -> Job:
        """Asks the job to stop; returns it at once.

        A job that completed an epoch is evaluated and its model stored; wait() waits for that.
        FailedPrecondition once it is completed or failed.
        """
        request = training_service_pb2.StopJobRequest(name=self.name)
        self.message = self._connection.call(self._connection.training.StopJob, request, repeats=2)
        return self

    def delete(self) -> None:
        """Deletes an ended job, but not its model. FailedPrecondition while it is queued or runs."""
        request = training_service_pb2.DeleteJobRequest(name=self.name)
        self._connection.call(self._connection.training.DeleteJob, request)

    def follow_logs(self, attempt: int = 0, follow: bool = True) -> Iterator[str]:
        """Pieces of the log of the job's worker, live until the attempt has ended.

        `attempt` counts from 1; 0 is the newest. FailedPrecondition before there is a log.
        """
        request = training_service_pb2.StreamLogsRequest(name=self.name, attempt=attempt,
                                                         follow=follow)
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        with self._connection.stream(self._connection.training.StreamLogs, request) as chunks:
            for chunk in chunks:
                yield decoder.decode(chunk.text)
        yield decoder.decode(b"", final=True)

    def logs(self, attempt: int = 0) -> str:
        """The log of the job's worker so far. As follow_logs."""
        return "".join(self.follow_logs(attempt, follow=False))

    def confusion(self) -> Confusion:
        """The confusion matrix of the test images. FailedPrecondition before the job was evaluated."""
        request = training_service_pb2.GetConfusionMatrixRequest(name=self.name)
        return Confusion(self._connection.call(self._connection.training.GetConfusionMatrix, request,
                                               repeats=1))

    def predictions(self, most: int = 100, wrong_only: bool = True) -> list[job_pb2.Prediction]:
        """Single images: of a training or an evaluation those that the model got wrong, the most
        confident first, and unless `wrong_only` all others after them; of a check the suspicious
        labels, the most suspicious first. FailedPrecondition before they are there.
        """
        request = training_service_pb2.GetPredictionsRequest(name=self.name, wrong_only=wrong_only)
        found: list[job_pb2.Prediction] = []
        while len(found) < most:
            request.page_size = min(most - len(found), 10_000)
            page = self._connection.call(self._connection.training.GetPredictions, request, repeats=1)
            found += page.predictions
            request.page_token = page.next_page_token
            if not page.next_page_token:
                break
        return found

    def show(self) -> None:
        """Prints the job's state, specification, history and result."""
        self.refresh()
        print(f"{self.id}  {self.state}")
        for title, rows in self._sections():
            print(f"\n{title}")
            for name, value in rows:
                print(f"  {name:<28} {value}")

    def _sections(self) -> list[tuple[str, list[tuple[str, Any]]]]:
        kind = next((kind for kind in ("import", "evaluation", "check")
                     if self.message.HasField(kind)), "spec")
        fields = spec_fields().items() if kind == "spec" else \
            getattr(self.message, kind).DESCRIPTOR.fields_by_name.items()
        spec = [(name, text) for name, field in fields
                if (text := value_text(getattr(self.message, kind), field))]
        history = [(change.time.ToDatetime().strftime("%Y-%m-%d %H:%M:%S UTC"),
                    f"{state_word(change.state)}: {change.message}")
                   for change in self.message.transitions]
        sections: list[tuple[str, list[tuple[str, Any]]]] = [("Specification", spec),
                                                             ("History", history)]
        for name in ("result", "import_result", "evaluation_result", "check_result"):
            if not self.message.HasField(name):
                continue
            result = getattr(self.message, name)
            sections.append(("Result", [(field.name, value_text(result, field))
                                        for field, _ in result.ListFields()]))
        return sections

    def __repr__(self) -> str:
        return f"<Job {self.id}: {what_runs(self.message)}, {self.state}>"

    def _repr_html_(self) -> str:
        parts = [f"<p><b>{html.escape(self.id)}</b> {html.escape(self.state)}</p>"]
        for title, rows in self._sections():
            parts.append(f"<details><summary>{title}</summary>"
                         f"{html_table(('', ''), rows)}</details>")
        return "".join(parts)
