"""Data sets made of arrays: written to a file, sent to the server, imported there.

Used by one thread.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
import time
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import grpc

from atelier.arrays import numpy
from atelier.connection import Connection
from atelier.errors import (AtelierError, DeadlineExceeded, InvalidArgument, Unavailable, from_rpc,
                            is_broken)
from atelier.fields import set_fields
from atelier.job import Job
from atelier.v1 import dataset_service_pb2, job_pb2

_PIECE_BYTES = 256 << 10  # Of one message.
_PAUSE = 0.5  # Seconds between attempts.


def _images(name: str, given: Any) -> Any:
    """The array, if it can be images."""
    array = numpy().asarray(given)
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (1, 3)):
        raise InvalidArgument(fields={name: (
            f"its shape is {'×'.join(map(str, array.shape))}; images are N×H×W, or N×H×W×C with 1 or 3 "
            "channels.")})
    if array.dtype.kind not in "uif" and array.dtype != bool:
        raise InvalidArgument(fields={name: f"its numbers are {array.dtype}; images are integers of 0 to "
                                            "255 or floats of 0 to 1."})
    return array


def _labels(name: str, given: Any, images: Any) -> Any:
    """The array, if it can be the labels of the images."""
    array = numpy().asarray(given)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind not in "ui":
        raise InvalidArgument(fields={name: "labels are one whole number for each image; this is an array "
                                            f"of {'×'.join(map(str, array.shape))} {array.dtype}."})
    if len(array) != len(images):
        raise InvalidArgument(fields={name: f"there are {len(array)} labels and {len(images)} images."})
    return array


def checked_arrays(splits: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
    """The arrays of a .npz file by name. `splits` has images and labels of train, test and val.

    InvalidArgument names each argument that is wrong; all images have to be of one kind.
    """
    arrays: dict[str, Any] = {}
    for split, (x, y) in splits.items():
        if x is None and y is None and split != "train":
            continue
        if x is None or y is None:
            missing = f"x_{split}" if x is None else f"y_{split}"
            raise InvalidArgument(fields={missing: "it is missing: images and labels come together."})
        arrays[f"{split}_images"] = _images(f"x_{split}", x)
        arrays[f"{split}_labels"] = _labels(f"y_{split}", y, arrays[f"{split}_images"])
        first, own = arrays["train_images"], arrays[f"{split}_images"]
        if (own.shape[1:], own.dtype) != (first.shape[1:], first.dtype):
            raise InvalidArgument(fields={f"x_{split}": (
                f"its images are {own.shape[1:]} {own.dtype} and those of x_train {first.shape[1:]} "
                f"{first.dtype}; they have to be the same.")})
    return arrays


def import_options(values: Mapping[str, Any], dimensions: int) -> job_pb2.ImportOptions:
    """ImportOptions of what the caller gives; InvalidArgument names all that is wrong."""
    options = job_pb2.ImportOptions(
        axes=job_pb2.ARRAY_AXES_NHW if dimensions == 3 else job_pb2.ARRAY_AXES_NHWC)
    set_fields(options, values)
    return options


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while piece := file.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


class _Upload:
    """Sends a file; after a break it goes on where the server's durable bytes end."""

    def __init__(self, connection: Connection, upload: dataset_service_pb2.Upload, file: BinaryIO,
                 patience: float) -> None:
        self._connection = connection
        self._upload = upload
        self._file = file
        self._patience = patience
        self._progress = time.monotonic()  # When the server last had more than before.

    def send(self) -> None:
        while self._upload.received_bytes < self._upload.size_bytes:
            try:
                self._take(self._connection.datasets.WriteUpload(self._pieces()))
            except grpc.RpcError as error:
                # Another call still writes to it, perhaps the one that broke, or has written meanwhile.
                others = (grpc.StatusCode.ABORTED, grpc.StatusCode.OUT_OF_RANGE)
                if not is_broken(error) and error.code() not in others:
                    raise from_rpc(error, self._connection.address) from None
                self._resume(from_rpc(error, self._connection.address))

    def _pieces(self) -> Iterator[dataset_service_pb2.WriteUploadRequest]:
        at = self._upload.received_bytes
        self._file.seek(at)
        name = self._upload.name
        while data := self._file.read(_PIECE_BYTES):
            yield dataset_service_pb2.WriteUploadRequest(name=name, offset=at, data=data)
            at += len(data)
            name = ""

    def _take(self, upload: dataset_service_pb2.Upload) -> None:
        if upload.received_bytes > self._upload.received_bytes:
            self._progress = time.monotonic()
        self._upload = upload

    def _resume(self, why: AtelierError) -> None:
        """Waits until the server says what it has; raises `why` if that does not grow any more."""
        request = dataset_service_pb2.GetUploadRequest(name=self._upload.name)
        begin = time.monotonic()
        while True:
            time.sleep(_PAUSE)
            try:
                upload = self._connection.call(self._connection.datasets.GetUpload, request, timeout=5)
                break
            except (Unavailable, DeadlineExceeded):
                if time.monotonic() - begin >= self._patience:
                    raise
        self._take(upload)
        if time.monotonic() - self._progress >= self._patience:
            raise why


def push_arrays(connection: Connection, name: str, arrays: Mapping[str, Any],
                options: job_pb2.ImportOptions, resources: Mapping[str, int | None],
                progress: bool, patience: float) -> str:
    """Makes a version of the data set `name` of the arrays; returns the version's resource name.

    `resources` has `cores` and `memory_bytes` of the import, None for the server's defaults.

    The file is deleted in the end, whatever happens. What was sent stays on the server for a day, so
    that a push of the same arrays goes on where an interrupted one ended.
    """
    with tempfile.TemporaryFile() as file:
        # Not deflated: pixels hardly shrink, and the server reads it while it comes.
        numpy().savez(file, **arrays)
        size = file.seek(0, os.SEEK_END)
        upload = connection.call(
            connection.datasets.CreateUpload,
            dataset_service_pb2.CreateUploadRequest(
                dataset=name, size_bytes=size, sha256=_sha256(file), options=options,
                source_name=f"{name.rpartition('/')[2]}.npz", **resources), repeats=2)
        if upload.existing_version:
            return upload.existing_version
        _Upload(connection, upload, file, patience).send()
    request = dataset_service_pb2.ImportDatasetRequest(upload=upload.name, options=options,
                                                       request_id=secrets.token_hex(16), **resources)
    job = Job(connection, connection.call(connection.datasets.ImportDataset, request, repeats=2))
    job.wait(progress=progress, patience=patience)
    return job.message.import_result.dataset_version
