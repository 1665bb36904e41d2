"""Many images, and what a model makes of them."""

from __future__ import annotations

import collections
import re
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from atelier.arrays import numpy
from atelier.connection import Connection
from atelier.errors import DataLoss, ResourceExhausted, argument_of
from atelier.images import Batch
from atelier.v1 import inference_service_pb2 as inference

if TYPE_CHECKING:
    import numpy as np

_TRIES_WHEN_FULL = 20
_PAUSE_WHEN_FULL = 0.05  # Seconds.
# A class of an answer takes so many bytes, and its name.
_CLASS_BYTES = 16
_ANSWER_BYTES = 4 << 20


class Predictions:
    """What a model says of N images. Nothing changes after construction."""

    def __init__(self, probabilities: np.ndarray, class_names: list[str], model: str,
                 temperature: float | None) -> None:
        #: float32, N × classes: how probable each class is; each row adds up to 1.
        self.probabilities = probabilities
        #: In the order of the columns.
        self.class_names = class_names
        #: The version that was asked, `models/{model}/versions/{version}`.
        self.model = model
        #: What the probabilities were calibrated with; None if they are as the network computes them.
        self.temperature = temperature

    @property
    def labels(self) -> np.ndarray:
        """int64, N: the most probable class of each image, an index into class_names."""
        return self.probabilities.argmax(axis=1)

    @property
    def names(self) -> list[str]:
        """The name of the most probable class of each image."""
        return [self.class_names[label] for label in self.labels]

    @property
    def confidences(self) -> np.ndarray:
        """float32, N: the probability of the most probable class of each image."""
        return self.probabilities.max(axis=1)

    def __len__(self) -> int:
        return len(self.probabilities)

    def __repr__(self) -> str:
        return f"<Predictions of {len(self)} images>"


def images_per_request(class_names: list[str]) -> int:
    """How many images an answer has room for: every class of every image, with its name."""
    each = sum(_CLASS_BYTES + len(name.encode()) for name in class_names)
    return max(1, min(1024, _ANSWER_BYTES // max(1, each)))


def _name_field(field: str, batch: Batch) -> str:
    """An image as the caller knows it: its path, or its place."""
    found = re.fullmatch(r"encoded\.files\[(\d+)\]", field)
    if found and int(found[1]) < len(batch.names):
        return batch.names[int(found[1])]
    if field.startswith("encoded.files"):
        return batch.names[0] if len(batch.names) == 1 else "images"
    return "images" if field.partition(".")[0] in ("encoded", "raw", "floats") else argument_of(field)


def _classify(connection: Connection, request: inference.ClassifyRequest,
              batch: Batch) -> inference.ClassifyResponse:
    """One request, repeated while the server's queue is full."""
    for attempt in range(_TRIES_WHEN_FULL):
        try:
            return connection.call(connection.inference.Classify, request, repeats=1,
                                   name_field=lambda field: _name_field(field, batch))
        except ResourceExhausted:
            if attempt + 1 == _TRIES_WHEN_FULL:
                raise
            time.sleep(_PAUSE_WHEN_FULL)
    raise AssertionError("the last attempt returns or raises")


def _probabilities(answer: inference.ClassifyResponse, images: int, classes: int) -> np.ndarray:
    if len(answer.classifications) != images:
        raise DataLoss(f"The server answered for {len(answer.classifications)} images instead of "
                       f"{images}.")
    table = numpy().zeros((images, classes), dtype="float32")
    for row, classification in zip(table, answer.classifications):
        for each in classification.classes:
            if not 0 <= each.index < classes:
                raise DataLoss(f"The server answered with class {each.index} of {classes}.")
            row[each.index] = each.probability
    return table


def classify(connection: Connection, request: inference.ClassifyRequest, batches: Iterator[Batch],
             class_names: list[str], concurrency: int) -> Predictions:
    """Classifies the batches, `concurrency` requests at a time; `request` is all but the images.

    The first error ends it. Memory: the images of the requests under way, and the answers.
    """
    classes = len(class_names)

    def ask(batch: Batch) -> tuple[np.ndarray, inference.ClassifyResponse]:
        whole = inference.ClassifyRequest(**batch.fields)
        whole.MergeFrom(request)
        answer = _classify(connection, whole, batch)
        table = _probabilities(answer, len(batch.names), classes)
        del answer.classifications[:]
        return table, answer

    answers = []
    flying: collections.deque[Future] = collections.deque()
    with ThreadPoolExecutor(concurrency, thread_name_prefix="atelier-classify") as threads:
        try:
            for batch in batches:
                flying.append(threads.submit(ask, batch))
                if len(flying) >= concurrency:
                    answers.append(flying.popleft().result())
            while flying:
                answers.append(flying.popleft().result())
        finally:
            for future in flying:
                future.cancel()
    tables = [numpy().zeros((0, classes), dtype="float32"), *(table for table, _ in answers)]
    temperatures = [answer.temperature for _, answer in answers if answer.HasField("temperature")]
    return Predictions(numpy().concatenate(tables), class_names, request.model,
                       temperatures[0] if temperatures else None)
