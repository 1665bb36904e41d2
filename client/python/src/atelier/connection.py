"""The connection to a server, or to several: a channel, the stubs on it, and calls whose errors are
exceptions.

Thread-safe.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc

from atelier import identity, probe
from atelier.addresses import parse_addresses
from atelier.errors import (SHARED, FieldNamer, InvalidArgument, Unavailable, argument_of, from_rpc,
                            is_broken, printable)
from atelier.v1 import (dataset_service_pb2_grpc, experiment_service_pb2_grpc,
                        inference_service_pb2_grpc, model_service_pb2_grpc,
                        monitoring_service_pb2_grpc, training_service_pb2_grpc)

_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", 64 << 20),
    # Unanswered pings reveal a server that vanished without closing its connections.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Reconnects soon after a server restarts.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5000),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # Connects directly; http_proxy is for web pages.
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
]
_PAUSE = 0.3  # Seconds before a call is repeated, times the number of repetitions.


@dataclass(frozen=True)
class Tls:
    """PEM files for a server with TLS; without `ca` there is no TLS."""

    ca: str = ""
    cert: str = ""
    key: str = ""

    def credentials(self) -> grpc.ChannelCredentials | None:
        """None without TLS. InvalidArgument names the argument whose file cannot be used."""
        if bool(self.cert) != bool(self.key):
            raise InvalidArgument("tls_cert and tls_key must be given together; one is missing.")
        if not self.ca:
            if self.cert:
                raise InvalidArgument(
                    "tls_cert needs tls_ca, the CA that issued the server's certificate.")
            return None
        probe.check_files(self)
        key, chain = (_read(self.key), _read(self.cert)) if self.cert else (None, None)
        return grpc.ssl_channel_credentials(_read(self.ca), key, chain)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


class Connection:
    """`address` is as parse_addresses takes it, `token` the caller's or empty. Does not connect by itself."""

    def __init__(self, address: str, tls: Tls, token: str = "") -> None:
        self._addresses = parse_addresses(address)
        credentials = tls.credentials()
        self.address = address
        self._tls = tls
        if token:
            for one in self._addresses.all:
                identity.check_token_is_safe(one, credentials is not None)
        target = self._addresses.target()
        options = [*_CHANNEL_OPTIONS, *self._addresses.channel_options()]
        if credentials is None:
            self.channel = grpc.insecure_channel(target, options=options)
        else:
            self.channel = grpc.secure_channel(target, credentials, options=options)
        if token:
            self.channel = grpc.intercept_channel(self.channel, identity.ShowToken(token))
        self.training = training_service_pb2_grpc.TrainingServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)
        self.datasets = dataset_service_pb2_grpc.DatasetServiceStub(self.channel)
        self.inference = inference_service_pb2_grpc.InferenceServiceStub(self.channel)
        self.monitoring = monitoring_service_pb2_grpc.MonitoringServiceStub(self.channel)
        self.experiments = experiment_service_pb2_grpc.ExperimentServiceStub(self.channel)
        self.health = self.channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=SHARED["grpc.health.v1.HealthCheckRequest"].SerializeToString,
            response_deserializer=SHARED["grpc.health.v1.HealthCheckResponse"].FromString)

    # Connecting is made by calls: in gRPC 1.51 a process that subscribed to a channel's state hangs at
    # its end.

    def connect(self, timeout: float) -> None:
        """Connects; Unavailable with the reason if that fails, after `timeout` s at the latest."""
        try:
            self.health(SHARED["grpc.health.v1.HealthCheckRequest"](), timeout=timeout)
        except grpc.RpcError as error:
            why = error.details() or error.code().name
            if self._addresses.balanced:
                raise Unavailable(f"None of the servers at {printable(self.address)} can be used: "
                                  f"{printable(why)}.") from None
            raise Unavailable(probe.explain(self.address, self._tls, why)) from None

    def is_back(self, timeout: float) -> bool:
        """Whether a server that was lost answers again; waits for it for up to `timeout` s."""
        try:
            self.health(SHARED["grpc.health.v1.HealthCheckRequest"](), timeout=timeout,
                        wait_for_ready=True)
        except grpc.RpcError:
            return False
        return True

    def call(self, method: Any, request: Any, *, timeout: float = 30, repeats: int = 0,
             name_field: FieldNamer = argument_of) -> Any:
        """Makes a unary call: call(connection.training.GetJob, request).

        After the connection broke it is repeated up to `repeats` times, waiting for the server;
        only for idempotent calls. Errors are those of atelier.errors.
        """
        for attempt in range(repeats + 1):
            if attempt > 0:
                time.sleep(_PAUSE * attempt)
            try:
                return method(request, timeout=timeout, wait_for_ready=attempt > 0)
            except grpc.RpcError as error:
                if attempt == repeats or not is_broken(error):
                    raise from_rpc(error, self.address, name_field) from None
        raise AssertionError("the last attempt returns or raises")

    @contextlib.contextmanager
    def stream(self, method: Any, request: Any) -> Iterator[Iterator[Any]]:
        """A server stream, which is cancelled at the end of the block."""
        call = method(request)
        try:
            yield call
        except grpc.RpcError as error:
            raise from_rpc(error, self.address) from None
        finally:
            call.cancel()

    def close(self) -> None:
        self.channel.close()


def from_environment(server: str | None, tls: Tls, token_file: str = "",
                     context: str = "") -> Connection:
    """A connection to `server`; what is not given comes from where the command line takes it."""
    # What is given beats what is set: a server means no context that the environment names.
    context = context or ("" if server else os.environ.get("ATELIER_CONTEXT", ""))
    values = None
    if context or not (server or os.environ.get("ATELIER_SERVER")):
        values = identity.find_context(identity.contexts_path(), context)
    if values is None:
        values = {"server": os.environ.get("ATELIER_SERVER", ""),
                  "tls-ca": os.environ.get("ATELIER_TLS_CA", ""),
                  "tls-cert": os.environ.get("ATELIER_TLS_CERT", ""),
                  "tls-key": os.environ.get("ATELIER_TLS_KEY", ""),
                  "token-file": os.environ.get("ATELIER_TOKEN_FILE", "")}
    token_file = token_file or values.get("token-file", "")
    return Connection(server or values.get("server") or "127.0.0.1:50051",
                      Tls(ca=tls.ca or values.get("tls-ca", ""),
                          cert=tls.cert or values.get("tls-cert", ""),
                          key=tls.key or values.get("tls-key", "")),
                      identity.read_token(token_file) if token_file else "")
