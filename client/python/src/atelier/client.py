"""The client: where everything starts. Thread-safe; the objects that it makes say so for themselves."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from atelier.comparison import Comparison, Trial, trial_of_job, trials_of_experiment
from atelier.connection import Connection, Tls, from_environment
from atelier.datasets import Dataset, Datasets
from atelier.errors import SHARED, InvalidArgument, NotFound
from atelier.experiment import Experiment
from atelier.fields import enum_argument, set_fields
from atelier.job import Job
from atelier.model import Model, get_model, newest
from atelier.names import resource_name
from atelier.sweep import make_sweep, name_field
from atelier.v1 import (experiment_service_pb2, job_pb2, model_service_pb2, monitoring_service_pb2,
                        training_service_pb2)

_SERVING = 1  # HealthCheckResponse.SERVING.


@dataclass(frozen=True)
class Health:
    """What check() found."""

    #: Whether the server answers requests.
    serving: bool
    #: The server's version, such as 0.1.0.
    version: str
    #: Where it is.
    address: str


def connect(server: str | None = None, *, tls_ca: str | os.PathLike[str] = "",
            tls_cert: str | os.PathLike[str] = "", tls_key: str | os.PathLike[str] = "",
            token_file: str | os.PathLike[str] = "", context: str = "",
            timeout: float = 5) -> Client:
    """Connects to a server: HOST:PORT or unix:PATH; or to serving replicas, of which each call goes to
    another one: HOST:PORT,HOST:PORT,… or dns:HOST:PORT, for all that a name leads to.

    What is not given comes from the environment, as for the command line: ATELIER_SERVER (else
    127.0.0.1:50051), ATELIER_TLS_CA, ATELIER_TLS_CERT, ATELIER_TLS_KEY. `tls_ca` is a PEM file of
    the CAs to trust and turns TLS on; `tls_cert` and `tls_key` are the client's, for mutual TLS.
    `token_file` holds the token by which the server knows you (ATELIER_TOKEN_FILE). `context` is a
    server of the configuration file (ATELIER_CONTEXT); it takes the place of the environment, as the
    file's current one does where no server is given.
    Unavailable with the reason if that fails, after `timeout` seconds at the latest;
    InvalidArgument for a wrong address and for files that cannot be used.
    """
    tls = Tls(os.fspath(tls_ca), os.fspath(tls_cert), os.fspath(tls_key))
    connection = from_environment(server, tls, os.fspath(token_file), context)
    try:
        connection.connect(timeout)
    except BaseException:
        connection.close()
        raise
    return Client(connection)


class Client:
    """A connected client; made by connect(). Closes the connection at the end of a with block."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        #: The data sets: client.datasets() lists them.
        self.datasets = Datasets(connection)

    @property
    def address(self) -> str:
        """Where the server is."""
        return self._connection.address

    @property
    def channel(self) -> Any:
        """The gRPC channel, for the generated stubs in atelier.v1."""
        return self._connection.channel

    def close(self) -> None:
        """Closes the connection; further calls fail."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self) -> Health:
        """Whether the server serves, and its version. Unavailable if it cannot be reached."""
        answer = self._connection.call(self._connection.health,
                                       SHARED["grpc.health.v1.HealthCheckRequest"](), timeout=5)
        request = monitoring_service_pb2.GetMetricsRequest(names=["atelier_build_info"])
        metrics = self._connection.call(self._connection.monitoring.GetMetrics, request, timeout=5)
        version = next((sample.labels["version"] for sample in metrics.samples), "")
        return Health(answer.status == _SERVING, version, self.address)

    # Training.

    def train(self, preset: str | None = None, recipe: str | None = None,
              network: dict[str, Any] | str | os.PathLike[str] | Message | None = None, *,
              name: str | None = None, request_id: str | None = None, **fields: Any) -> Job:
        """Starts a training; it is stored on the server when this returns.

        Every field of TrainingSpec is an argument: epochs=3, learning_rate=0.003, optimizer="sgd",
        memory_bytes="2GiB", conv=[32, 64]; proto/atelier/v1/job.proto has their ranges and defaults,
        and None leaves one out. Enumerations take the words of the command line. `network` is a
        network of your own: protobuf JSON as a dict, or the path of its file. `name` is the prefix
        of the job's name; a request that is repeated with the same `request_id` starts no second
        job. InvalidArgument has all wrong fields, ResourceExhausted is a full queue.
        """
        spec = job_pb2.TrainingSpec()
        set_fields(spec, {"preset": preset, "recipe": recipe, "network": network, **fields},
                   ("name", "request_id"))
        request = training_service_pb2.StartTrainingRequest(
            spec=spec, base_name=name or "", request_id=request_id or secrets.token_hex(16))
        # The request ID makes it safe to repeat the call after a broken connection.
        return Job(self._connection, self._connection.call(self._connection.training.StartTraining,
                                                           request, repeats=2))

    def job(self, name: str) -> Job:
        """A job by its name, with or without `jobs/`. NotFound."""
        request = training_service_pb2.GetJobRequest(name=resource_name("jobs", name))
        return Job(self._connection, self._connection.call(self._connection.training.GetJob, request,
                                                           repeats=1))

    def jobs(self, limit: int | None = None, states: Iterable[str] = ()) -> list[Job]:
        """Jobs, newest first: at most `limit`, and only those in one of the states, if given."""
        numbers = [enum_argument("states", state, job_pb2.JobState.DESCRIPTOR) for state in states]
        request = training_service_pb2.ListJobsRequest(states=numbers)
        messages = self._pages(self._connection.training.ListJobs, request, "jobs", limit)
        return [Job(self._connection, message) for message in messages]

    # Experiments.

    def sweep(self, *, seeds: int | Iterable[int] | None = None, random: int | None = None,
              name: str | None = None, request_id: str | None = None, **fields: Any) -> Experiment:
        """Starts a training for every combination of values and seeds.

        Fields as in train, each with one value or a list of them: preset=["cnn-1", "cnn-2"]; of a
        field that holds a list, a list of lists: conv=[[32], [32, 64]]. `seeds` is how many, from 1
        on, or a list. `random` draws so many of the configurations. At most 1,000 runs.
        """
        request = make_sweep(fields, seeds, random, name or "", request_id or secrets.token_hex(16))
        return Experiment(self._connection, self._connection.call(
            self._connection.experiments.StartExperiment, request, repeats=2,
            name_field=lambda field: name_field(request, field)))

    def experiment(self, name: str) -> Experiment:
        """An experiment by its name, with or without `experiments/`. NotFound."""
        request = experiment_service_pb2.GetExperimentRequest(name=resource_name("experiments", name))
        return Experiment(self._connection, self._connection.call(
            self._connection.experiments.GetExperiment, request, repeats=1))

    def experiments(self, limit: int | None = None) -> list[Experiment]:
        """Experiments without their runs, newest first; at most `limit`."""
        messages = self._pages(self._connection.experiments.ListExperiments,
                               experiment_service_pb2.ListExperimentsRequest(), "experiments", limit)
        return [Experiment(self._connection, message) for message in messages]

    def compare(self, *what: Job | Experiment | str) -> Comparison:
        """Jobs and experiments side by side, given as objects or by name.

        Trainings that differ in nothing but the seed are one configuration.
        """
        return Comparison(trial for each in what for trial in self._trials(each))

    def _trials(self, what: Job | Experiment | str) -> list[Trial]:
        if isinstance(what, str):
            what = self._find(what)
        if isinstance(what, Job):
            return [trial_of_job(what.refresh().message)]
        return trials_of_experiment(what.refresh().message)

    def _find(self, name: str) -> Job | Experiment:
        if name.startswith("experiments/"):
            return self.experiment(name)
        try:
            return self.job(name)
        except NotFound as error:
            if name.startswith("jobs/"):
                raise
            no_job = error
        try:
            return self.experiment(name)
        except NotFound:
            raise no_job from None

    # Models and data sets.

    def model(self, name: str) -> Model:
        """A version of a model: `cnn-3` for the latest, `cnn-3@2`, `cnn-3@production`. NotFound."""
        return get_model(self._connection, name)

    def models(self, limit: int | None = None) -> list[Model]:
        """The newest version of every model, by name; at most `limit`."""
        messages = self._pages(self._connection.models.ListModels,
                               model_service_pb2.ListModelsRequest(), "models", limit)
        return [newest(self._connection, message) for message in messages if message.versions]

    def dataset(self, name: str) -> Dataset:
        """A data set: `NAME`, of one that was pushed the newest version, or `NAME@VERSION`. NotFound."""
        return self.datasets.get(name)

    def _pages(self, method: Any, request: Any, field: str, limit: int | None) -> Iterator[Any]:
        """The elements of a list over all of its pages, at most `limit`."""
        if limit is not None and limit < 1:
            raise InvalidArgument(fields={"limit": f"{limit} is less than 1."})
        left = limit
        while True:
            request.page_size = min(left, 1000) if left is not None else 0
            page = self._connection.call(method, request, repeats=1)
            yield from getattr(page, field)
            if left is not None:
                left -= len(getattr(page, field))
            if not page.next_page_token or left == 0:
                return
            request.page_token = page.next_page_token

    def __repr__(self) -> str:
        return f"<Client of {self.address}>"
