"""Streams that outlive the connection: after a break they continue where they were.

A follower waits for a server that is away, for `patience` seconds at most. Each is used by one thread.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from atelier.connection import Connection
from atelier.errors import Unavailable, from_rpc, is_broken
from atelier.v1 import experiment_service_pb2, job_pb2, training_service_pb2

PATIENCE = 60.0
_PAUSE = 0.2  # Seconds between attempts.
_SILENCE = 0.3  # Seconds without events that end a replay.
_FIRST_EVENT = 10.0
_SETTLED = 1.0  # A stream that lived so many seconds was a connection restored.

# Called with True when the connection is lost and with False when it is restored.
Notice = Callable[[bool], None]


def _ignore(_lost: bool) -> None:
    pass


class _Reconnector:
    """Decides after each broken stream whether to try again, and waits for the server."""

    def __init__(self, connection: Connection, patience: float, notice: Notice) -> None:
        self._connection = connection
        self._patience = patience
        self._notice = notice
        self._lost_since: float | None = None
        self._opened = time.monotonic()

    def heard(self) -> None:
        """Something arrived."""
        if self._lost_since is not None:
            self._lost_since = None
            self._notice(False)

    def after(self, error: grpc.RpcError) -> None:
        """Returns once the stream may be opened again; raises if it is of no use."""
        if not is_broken(error):
            raise from_rpc(error, self._connection.address) from None
        now = time.monotonic()
        if self._lost_since is None:
            self._notice(True)
        if self._lost_since is None or now - self._opened > _SETTLED:
            self._lost_since = now
        while True:
            time.sleep(_PAUSE)
            left = self._lost_since + self._patience - time.monotonic()
            if left <= 0:
                raise Unavailable(f"The server at {self._connection.address} did not respond within "
                                  f"{self._patience:g} s.")
            if self._connection.is_back(left):
                self._opened = time.monotonic()
                return


def _follow(connection: Connection, open_stream: Callable[[], Any], patience: float,
            notice: Notice) -> Iterator[Any]:
    """The messages of a stream that is opened anew after every break, until it ends with OK."""
    reconnector = _Reconnector(connection, patience, notice)
    while True:
        call = open_stream()
        try:
            for message in call:
                reconnector.heard()
                yield message
            return
        except grpc.RpcError as error:
            broken = error
        finally:
            call.cancel()
        reconnector.after(broken)


def follow_job(connection: Connection, name: str, *, after: int = 0, epochs_only: bool = False,
               patience: float = PATIENCE, notice: Notice = _ignore) -> Iterator[job_pb2.JobEvent]:
    """A job's events with numbers above `after`, each once, until the job has ended.

    Events of kind `waiting` say that the job still waits; they have the number of the last event.
    """
    last = after

    def open_stream() -> Any:
        return connection.training.StreamMetrics(training_service_pb2.StreamMetricsRequest(
            name=name, after_number=last, epochs_only=epochs_only))

    for event in _follow(connection, open_stream, patience, notice):
        if event.WhichOneof("event") == "waiting":
            yield event
        elif event.number > last:
            last = event.number
            yield event


def apply_update(experiment: experiment_service_pb2.Experiment,
                 update: experiment_service_pb2.ExperimentUpdate) -> None:
    """Merges an update of StreamExperiment into the experiment as it was."""
    changed = update.experiment
    before = experiment_service_pb2.Experiment()
    before.CopyFrom(experiment)
    experiment.CopyFrom(changed)
    if not changed.configurations:
        experiment.configurations.MergeFrom(before.configurations)
    if not changed.seeds:
        experiment.seeds.MergeFrom(before.seeds)
    runs = {run.index: run for run in [*before.runs, *changed.runs]}
    del experiment.runs[:]
    experiment.runs.extend(runs[index] for index in sorted(runs))


def follow_experiment(connection: Connection, name: str, *, patience: float = PATIENCE,
                      notice: Notice = _ignore) -> Iterator[experiment_service_pb2.Experiment]:
    """The experiment as it is, again after each of its changes, until it has ended."""
    request = experiment_service_pb2.StreamExperimentRequest(name=name)
    experiment = experiment_service_pb2.Experiment()
    for update in _follow(connection, lambda: connection.experiments.StreamExperiment(request),
                          patience, notice):
        apply_update(experiment, update)
        yield experiment


def _until_silent(stream: Any, silence: float) -> Iterator[Any]:
    """The messages until there was none for `silence` seconds; the first may take longer."""
    arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def read() -> None:
        try:
            for message in stream:
                arrived.put(message)
            arrived.put(None)
        except grpc.RpcError as error:
            arrived.put(error)

    threading.Thread(target=read, name="atelier-events", daemon=True).start()
    patience = _FIRST_EVENT
    try:
        while (message := arrived.get(timeout=patience)) is not None:
            if isinstance(message, grpc.RpcError):
                raise message
            yield message
            patience = silence
    except queue.Empty:
        return
    finally:
        stream.cancel()


def epochs_so_far(connection: Connection, name: str, ended: bool,
                  current: int) -> list[job_pb2.EpochMetrics]:
    """The epochs of a job up to now, without withdrawn ones.

    `current` is the epoch being trained. The server does not say where its replay ends, so the events
    of a job that runs are read until they pause or that epoch is done.
    """
    kept: list[job_pb2.JobEvent] = []
    if ended:
        events = follow_job(connection, name, epochs_only=True)
    else:
        request = training_service_pb2.StreamMetricsRequest(name=name, epochs_only=True)
        events = _until_silent(connection.training.StreamMetrics(request), _SILENCE)
    try:
        for event in events:
            if event.HasField("epoch"):
                kept.append(event)
                if not ended and event.epoch.epoch >= current > 0:
                    break
            elif event.HasField("rewound"):
                while kept and kept[-1].number >= event.rewound.first_withdrawn:
                    kept.pop()
    except grpc.RpcError as error:
        raise from_rpc(error, connection.address) from None
    return [event.epoch for event in kept]
