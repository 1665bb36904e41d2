"""Files that are downloaded: checked against the server's checksum, and there only when complete.

Thread-safe: pure functions.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import pathlib
import secrets
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from atelier.errors import AlreadyExists, DataLoss, PermissionDenied, printable
from atelier.v1 import model_service_pb2


def _exists(path: pathlib.Path) -> AlreadyExists:
    return AlreadyExists(f"{printable(str(path))} exists already; force=True replaces it.")


def check_absent(path: pathlib.Path) -> None:
    """AlreadyExists if there is something at the path."""
    if os.path.lexists(path):
        raise _exists(path)


def _publish(temporary: pathlib.Path, path: pathlib.Path, force: bool) -> None:
    if force:
        os.replace(temporary, path)
        return
    try:
        # Unlike rename, link never replaces what appeared in the meantime.
        os.link(temporary, path)
    except FileExistsError:
        raise _exists(path) from None
    except OSError:  # A file system without links.
        check_absent(path)
        os.rename(temporary, path)


def _receive(stream: Iterator[model_service_pb2.DownloadChunk],
             first: model_service_pb2.DownloadChunk, file: BinaryIO) -> None:
    """Writes all chunks to the disk; DataLoss if they are not what the first one promises."""
    digest = hashlib.sha256()
    received = 0
    for chunk in itertools.chain([first], stream):
        digest.update(chunk.data)
        received += len(chunk.data)
        file.write(chunk.data)
    file.flush()
    os.fsync(file.fileno())
    if received != first.total_bytes or digest.hexdigest() != first.sha256:
        raise DataLoss(f"The download is corrupt: {received} of {first.total_bytes} bytes with the "
                       f"SHA-256 {digest.hexdigest()} instead of {printable(first.sha256)}. No file was "
                       "written.")


def write_download(chunks: Iterable[model_service_pb2.DownloadChunk],
                   path: pathlib.Path, force: bool) -> pathlib.Path:
    """Writes a download to the path and returns it.

    AlreadyExists unless `force`, DataLoss if the checksum does not match, PermissionDenied if the
    file cannot be written. A failed download leaves no file and an older one as it was.
    """
    stream = iter(chunks)
    first = next(stream, None)
    if first is None:
        raise DataLoss("The server sent nothing.")
    if not force:
        check_absent(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(temporary, "xb") as file:
            _receive(stream, first, file)
        _publish(temporary, path, force)
    except OSError as error:
        raise PermissionDenied(f"{printable(str(path))} cannot be written: {error.strerror}.") from None
    finally:
        temporary.unlink(missing_ok=True)
    return path
