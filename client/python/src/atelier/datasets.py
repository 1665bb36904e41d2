"""The data sets of a server, and their images as arrays. Thread-safe."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from atelier.arrays import numpy
from atelier.connection import Connection
from atelier.errors import DataLoss
from atelier.fields import enum_argument
from atelier.following import PATIENCE
from atelier.names import parse_version, resource_name, version_name
from atelier.pushing import checked_arrays, import_options, push_arrays
from atelier.v1 import dataset_service_pb2, job_pb2

if TYPE_CHECKING:
    import numpy as np

    from atelier.job import Job

_ANSWER_BYTES = 3 << 20  # Of one answer; leaves room for names and numbers.
_MOST_IMAGES = 1000


class Dataset:
    """One data set. `message` is the Dataset as the server describes it."""

    def __init__(self, connection: Connection, message: dataset_service_pb2.Dataset) -> None:
        self._connection = connection
        self.message = message

    @property
    def name(self) -> str:
        """The name without `datasets/` and version."""
        return parse_version("datasets", self.message.name)[0]

    @property
    def version(self) -> int:
        """Of a data set that was pushed, from 1; 0 for one of the server's own."""
        return self.message.version

    @property
    def class_names(self) -> list[str]:
        """In the order of the labels."""
        return list(self.message.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        shape = self.message.image_shape
        return shape.height, shape.width, shape.channels

    def images(self, indices: Iterable[int], split: str = "test") -> tuple[np.ndarray, np.ndarray]:
        """Images of the split (test, training or validation) by index, and their labels.

        uint8, N×H×W or N×H×W×C where there are several channels, and int64, N. InvalidArgument for
        an index that the split does not have.
        """
        wanted = [int(index) for index in indices]
        height, width, channels = self.image_shape
        each = max(1, height * width * channels)
        count = max(1, min(_MOST_IMAGES, _ANSWER_BYTES // (each + 100)))
        pixels = numpy().empty((len(wanted), channels, height, width), dtype="uint8")
        labels = numpy().empty(len(wanted), dtype="int64")
        for begin in range(0, len(wanted), count):
            part = wanted[begin:begin + count]
            answer = self._get(part, split)
            for place, image in enumerate(answer.images, begin):
                if len(image.data) != each:
                    raise DataLoss(f"Image {image.index} has {len(image.data)} bytes, not {each}: the "
                                   "data set has changed; fetch it anew.")
                pixels[place] = numpy().frombuffer(image.data, "uint8").reshape(channels, height, width)
                labels[place] = image.label
        pixels = pixels.transpose(0, 2, 3, 1)
        return (pixels[..., 0] if channels == 1 else pixels), labels

    def _get(self, indices: list[int], split: str) -> Any:
        number = enum_argument("split", split, job_pb2.DatasetSplit.DESCRIPTOR)
        request = dataset_service_pb2.GetImagesRequest(name=self.message.name, split=number,
                                                       indices=indices)
        answer = self._connection.call(self._connection.datasets.GetImages, request, repeats=1)
        if len(answer.images) != len(indices):
            raise DataLoss(f"The server sent {len(answer.images)} images instead of {len(indices)}.")
        return answer

    def check(self, split: str | None = None, *, folds: int = 5, seed: int = 0) -> Job:
        """Starts a job that looks for faults of the data set and for suspicious labels; returns it.

        Each label of the split (training, where there is one, test or validation) is compared with
        the guess of a small network that was trained on the other images: `folds` of them, 2 to 20.
        `job.wait().check` is what was found, `job.predictions()` the suspicious labels, the most
        suspicious first.
        """
        from atelier.job import Job
        request = dataset_service_pb2.CheckDatasetRequest(
            name=self.message.name, folds=folds, seed=seed, request_id=secrets.token_hex(16),
            split=enum_argument("split", split, job_pb2.DatasetSplit.DESCRIPTOR) if split else 0)
        return Job(self._connection, self._connection.call(self._connection.datasets.CheckDataset,
                                                           request, repeats=2))

    def delete(self) -> None:
        """Deletes this version of a data set that was pushed.

        FailedPrecondition while a job needs it, and for a data set of the server's own.
        """
        request = dataset_service_pb2.DeleteDatasetRequest(name=self.message.name)
        self._connection.call(self._connection.datasets.DeleteDataset, request)

    def __repr__(self) -> str:
        height, width, channels = self.image_shape
        return (f"<Dataset {self.name}: {self.message.training_images} + {self.message.test_images} "
                f"images of {height}×{width}×{channels}, {len(self.class_names)} classes>")


class Datasets:
    """The data sets of a server: client.datasets() lists them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __call__(self) -> list[Dataset]:
        """All data sets, by name."""
        request = dataset_service_pb2.ListDatasetsRequest()
        found = []
        while True:
            page = self._connection.call(self._connection.datasets.ListDatasets, request, repeats=1)
            found += [Dataset(self._connection, message) for message in page.datasets]
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    def get(self, name: str) -> Dataset:
        """One data set, of one that was pushed the newest version unless NAME@VERSION. NotFound."""
        request = dataset_service_pb2.GetDatasetRequest(name=version_name("datasets", name))
        return Dataset(self._connection, self._connection.call(
            self._connection.datasets.GetDataset, request, repeats=1))

    def push(self, name: str, x_train: Any, y_train: Any, x_test: Any = None, y_test: Any = None,
             x_val: Any = None, y_val: Any = None, *, class_names: Iterable[str] | None = None,
             cores: int | None = None, memory_bytes: int | None = None, progress: bool = True,
             patience: float = PATIENCE, **options: Any) -> Dataset:
        """Makes a version of the data set `name` of arrays; returns it.

        Images are N×H×W or N×H×W×C with 1 or 3 channels, integers of 0 to 255 or floats of 0 to 1;
        labels are N whole numbers from 0. Without test images some of the training images become
        them. `options` are fields of ImportOptions: height and width, color, fit, invert,
        test_fraction, validation_fraction, seed. `cores` and `memory_bytes` are what the import may use;
        None leaves it to the server. Arrays that were pushed before with the same options
        are that version. A push that was interrupted goes on where it ended; a server that is away is
        waited for `patience` seconds. InvalidArgument names the arguments that are wrong, JobFailed
        says why the import failed.
        """
        arrays = checked_arrays({"train": (x_train, y_train), "test": (x_test, y_test),
                                 "val": (x_val, y_val)})
        values = {"class_names": class_names, **options}
        resources = {"cores": cores, "memory_bytes": memory_bytes}
        version = push_arrays(self._connection, resource_name("datasets", name), arrays,
                              import_options(values, arrays["train_images"].ndim), resources, progress,
                              patience)
        return self.get(version)
