"""What can go wrong, as exceptions: one class for each kind, its message in plain sentences.

Thread-safe: nothing here is changed after the import.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError


class AtelierError(Exception):
    """Any error of this package.

    `reason` is the server's machine-readable reason, such as JOB_NOT_FOUND; empty if it gave none.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class InvalidArgument(AtelierError, ValueError):
    """A value is wrong. `fields` has a sentence for each wrong field, by the field's name."""

    def __init__(self, message: str = "", reason: str = "",
                 fields: Mapping[str, str] | None = None) -> None:
        self.fields = dict(fields or {})
        lines = [f"{name}: {text}" for name, text in self.fields.items()]
        super().__init__(message or "\n".join(lines), reason)


class NotFound(AtelierError, LookupError):
    """The server has no such job, experiment, model, version or data set."""


class AlreadyExists(AtelierError):
    """A file exists, or a request ID was used for another request."""


class FailedPrecondition(AtelierError):
    """The state does not allow it, such as a confusion matrix before the job has ended."""


class ResourceExhausted(AtelierError):
    """A limit of the server is reached, such as its queue's; a later attempt may succeed."""


class PermissionDenied(AtelierError):
    """The server, or the file system, does not allow it."""


class Unauthenticated(AtelierError):
    """The server does not know the caller."""


class Unavailable(AtelierError):
    """The server cannot be reached, or cannot do this now."""


class DeadlineExceeded(AtelierError, TimeoutError):
    """There was no answer in time."""


class Cancelled(AtelierError):
    """The call was cancelled."""


class DataLoss(AtelierError):
    """What was received is damaged."""


class Unimplemented(AtelierError):
    """The server is of another version and does not know the request."""


class Internal(AtelierError):
    """An error in the server."""


class JobFailed(AtelierError):
    """A job that was waited for has failed. `job` is that job."""

    def __init__(self, message: str, reason: str, job: Any) -> None:
        super().__init__(message, reason)
        self.job = job


_CLASSES: dict[grpc.StatusCode, type[AtelierError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.OUT_OF_RANGE: InvalidArgument,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.CANCELLED: Cancelled,
    grpc.StatusCode.DATA_LOSS: DataLoss,
    grpc.StatusCode.UNIMPLEMENTED: Unimplemented,
}

# What to do about an error, by its reason.
_ADVICE = {
    "JOB_NOT_FOUND": "`client.jobs()` lists the jobs.",
    "EXPERIMENT_NOT_FOUND": "`client.experiments()` lists the experiments.",
    "MODEL_NOT_FOUND": "`client.models()` lists the models.",
    "VERSION_NOT_FOUND": "`versions()` of a model lists its versions.",
    "DATASET_NOT_FOUND": "`client.datasets()` lists the data sets.",
    "VERSION_IN_USE": "`force=True` deletes the aliases, too.",
    "OTHER_CLASSES": "`force=True` moves the alias anyway.",
    "JOB_NOT_ENDED": "Stop it first: `job.stop()`.",
    "EXPERIMENT_NOT_ENDED": "Stop it first: `experiment.stop()`.",
    "NOT_EVALUATED": "`job.show()` shows its progress, or why it ended.",
}

FieldNamer = Callable[[str], str]


def argument_of(field: str) -> str:
    """The argument that a request's field comes from: `batch_size` for `spec.batch_size`."""
    return {"base_name": "name"}.get(field, field.removeprefix("spec."))


def _shared_classes() -> dict[str, Any]:
    """The messages of google.rpc and grpc.health.v1 by name, from a pool of their own."""
    pool = descriptor_pool.DescriptorPool()
    described = descriptor_pb2.FileDescriptorSet.FromString(
        pkgutil.get_data("atelier", "shared.binpb") or b"")
    for file in described.file:
        pool.AddSerializedFile(file.SerializeToString())
    names = ("google.rpc.Status", "google.rpc.BadRequest", "google.rpc.ErrorInfo",
             "google.rpc.RetryInfo", "grpc.health.v1.HealthCheckRequest",
             "grpc.health.v1.HealthCheckResponse")
    # The function's name since protobuf 4.22, and before.
    if hasattr(message_factory, "GetMessageClass"):
        make = message_factory.GetMessageClass
    else:
        make = message_factory.MessageFactory(pool).GetPrototype  # type: ignore[attr-defined]
    return {name: make(pool.FindMessageTypeByName(name)) for name in names}


SHARED = _shared_classes()


def details_of(error: grpc.RpcError) -> dict[str, Any]:
    """The messages that an error carries, by their full names; the last one of each."""
    found: dict[str, Any] = {}
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        try:
            for detail in SHARED["google.rpc.Status"].FromString(value).details:
                name = detail.type_url.rpartition("/")[2]
                if name in SHARED:
                    found[name] = SHARED[name].FromString(detail.value)
        except DecodeError:  # What cannot be read says nothing.
            return {}
    return found


def is_broken(error: grpc.RpcError) -> bool:
    """Whether the connection broke, so that a repeated call may succeed."""
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        return True
    # The server's own errors carry details; these come from the transport.
    transport = (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL)
    return error.code() in transport and not details_of(error)


def printable(text: str) -> str:
    """The text with control characters escaped, so that a terminal shows and does not obey them."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def _sentence(text: str) -> str:
    text = printable(text.rstrip("\n"))
    return text if not text or text.endswith((".", "!")) else text + "."


def _explained(error: grpc.RpcError, address: str) -> str:
    """For errors that gRPC made, not the server, or that say too little."""
    text = _sentence(error.details() or "")
    if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"The server at {address} did not answer in time."
    if error.code() == grpc.StatusCode.UNIMPLEMENTED:
        return (f"The server at {address} does not know this request: it is an Atelier server of "
                "another version, or another program.")
    if error.code() == grpc.StatusCode.UNAVAILABLE:
        return f"The connection to the server at {address} broke: {text}"
    return text or f"The server at {address} answered {error.code().name}."


def from_rpc(error: grpc.RpcError, address: str,
             name_field: FieldNamer = argument_of) -> AtelierError:
    """The exception for an error of a call to the server at `address`."""
    details = details_of(error)
    kind = _CLASSES.get(error.code(), Internal)
    bad = details.get("google.rpc.BadRequest")
    info = details.get("google.rpc.ErrorInfo")
    reason = info.reason if info else ""
    if bad is not None and bad.field_violations:
        fields = {printable(name_field(violation.field)): _sentence(violation.description)
                  for violation in bad.field_violations}
        return InvalidArgument(reason=reason, fields=fields)
    text = _sentence(error.details() or "") if reason else _explained(error, printable(address))
    advice = _ADVICE.get(reason, "")
    return kind(f"{text} {advice}".strip(), reason)
