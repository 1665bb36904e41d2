"""A version of a trained model: what it is, and what can be done with it. Thread-safe."""

from __future__ import annotations

import os
import pathlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atelier import classifying
from atelier.arrays import floats
from atelier.connection import Connection
from atelier.errors import InvalidArgument, NotFound, printable
from atelier.fields import enum_argument
from atelier.files import write_download
from atelier.images import batches as image_batches
from atelier.names import parse_version, version_name
from atelier.v1 import inference_service_pb2 as inference
from atelier.v1 import job_pb2, model_service_pb2

if TYPE_CHECKING:
    import numpy as np

    from atelier.job import Job

_FILE_ENDINGS = {model_service_pb2.MODEL_FORMAT_ARCHIVE: "tar.gz",
                 model_service_pb2.MODEL_FORMAT_TORCHSCRIPT: "pt",
                 model_service_pb2.MODEL_FORMAT_ONNX: "onnx"}


@dataclass(frozen=True)
class Picture:
    """Numbers, and a picture of them that notebooks show."""

    #: float32; its shape is told where it comes from.
    values: np.ndarray
    #: A PNG file.
    png: bytes

    def _repr_png_(self) -> bytes:
        return self.png


@dataclass(frozen=True)
class Explanation(Picture):
    """The evidence for a class in an image: rows × columns numbers, high where it is seen."""

    #: The class that is explained.
    class_name: str
    #: Its probability, not calibrated.
    probability: float


class Model:
    """One version of a model. Made by Client.model, Client.models and Job.model.

    An alias that it was named by is looked up once: the version stays the same when the alias moves.
    `message` is the ModelVersion as the server describes it.
    """

    def __init__(self, connection: Connection, message: model_service_pb2.ModelVersion,
                 aliases: dict[str, int]) -> None:
        self._connection = connection
        self.message = message
        self._aliases = aliases

    @property
    def name(self) -> str:
        """The model's name, without a version."""
        return parse_version("models", self.message.name)[0]

    @property
    def version(self) -> int:
        """Counted from 1."""
        return self.message.version

    @property
    def aliases(self) -> list[str]:
        """The aliases of this version, `latest` too, when it was fetched."""
        return [alias for alias, version in self._aliases.items() if version == self.version]

    @property
    def class_names(self) -> list[str]:
        """In the order of the model's output."""
        return list(self.message.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images that it takes."""
        shape = self.message.image_shape
        return shape.height, shape.width, shape.channels

    @property
    def spec(self) -> job_pb2.TrainingSpec:
        """What it was trained with."""
        return self.message.spec

    @property
    def result(self) -> job_pb2.TrainingResult:
        """Its metrics; accuracies are fractions."""
        return self.message.result

    def versions(self) -> list[Model]:
        """All versions of this model, newest first."""
        return all_versions(self._connection, self.name)

    def classify(self, images: Any, *, calibrated: bool = False, resize: str = "pad",
                 inversion: str = "no", concurrency: int = 4) -> classifying.Predictions:
        """Classifies images of any number; returns the probability of every class for each.

        `images`: an array of N×H×W or N×H×W×C (or one image), uint8 of 0 to 255 or floats of 0 to
        1, of the model's size; or PNG, JPEG or WebP files, one or an iterable, as bytes or paths, of
        any size. Files are resized as `resize` says (pad, stretch, none) and inverted as `inversion`
        says (no, yes, auto). `calibrated` applies the version's temperature. Requests are made
        `concurrency` at a time, 1 to 64. InvalidArgument names the image that is wrong.
        """
        if not 1 <= concurrency <= 64:
            raise InvalidArgument(fields={"concurrency": f"{concurrency} is not from 1 to 64."})
        request = inference.ClassifyRequest(model=self.message.name, calibrated=calibrated,
                                            top_k=len(self.class_names))
        batches = self._batches(images, resize, inversion,
                                classifying.images_per_request(self.class_names))
        return classifying.classify(self._connection, request, batches, self.class_names, concurrency)

    def _batches(self, given: Any, resize: str, inversion: str, most: int) -> Any:
        options = {"resize": enum_argument("resize", resize, inference.Resize.DESCRIPTOR),
                   "inversion": enum_argument("inversion", inversion, inference.Inversion.DESCRIPTOR)}
        return image_batches(given, self.message.image_shape, options, most)

    def _one_image(self, given: Any, resize: str, inversion: str) -> dict[str, Any]:
        found = list(self._batches(given, resize, inversion, 2))
        if len(found) != 1 or len(found[0].names) != 1:
            raise InvalidArgument(fields={"image": "give exactly one image."})
        return found[0].fields

    def filters(self, layer: int = 1, zoom: int = 12) -> Picture:
        """The filters of a convolution, counted from 1: filters × input channels × height × width.

        The picture has a tile for each, `zoom` pixels (1 to 32) along the edge of a number.
        FailedPrecondition if the model has no convolution.
        """
        request = model_service_pb2.GetFiltersRequest(name=self.message.name, layer=layer, zoom=zoom)
        found = self._connection.call(self._connection.models.GetFilters, request)
        return Picture(floats(found.values, found.shape), found.picture.png)

    def features(self, image: Any, block: int = 0, *, zoom: int = 2, resize: str = "pad",
                 inversion: str = "no") -> list[Picture]:
        """The feature maps of one image after each block, or after one, counted from 1.

        Each is channels × height × width numbers with a picture. `image` as in classify.
        """
        request = model_service_pb2.GetFeatureMapsRequest(
            name=self.message.name, block=block, zoom=zoom, values=True,
            **self._one_image(image, resize, inversion))
        found = self._connection.call(self._connection.models.GetFeatureMaps, request)
        return [Picture(floats(each.values, (each.shape.channels, each.shape.height, each.shape.width)),
                        each.picture.png) for each in found.maps]

    def explain(self, image: Any, method: str = "grad_cam", target_class: str | int = "", *,
                block: int = 0, window: int = 0, stride: int = 0, zoom: int = 8, resize: str = "pad",
                inversion: str = "no") -> Explanation:
        """The evidence for a class in one image: a heat map, and a picture of it over the image.

        `method`: grad_cam, of the block (0 is the last), or occlusion, by a square of `window` pixels
        that moves by `stride` (0: chosen by the server). `target_class`: a name or an index; empty
        for the most probable class. `image` as in classify.
        """
        request = model_service_pb2.ExplainRequest(
            name=self.message.name,
            method=enum_argument("method", method, model_service_pb2.ExplanationMethod.DESCRIPTOR),
            target_class=str(target_class), block=block, window=window, stride=stride, zoom=zoom,
            values=True, **self._one_image(image, resize, inversion))
        found = self._connection.call(self._connection.models.Explain, request)
        return Explanation(floats(found.values, (found.height, found.width)), found.png,
                           found.target.name, found.target.probability)

    def evaluate(self, dataset: str, split: str = "test") -> Job:
        """Starts a job that scores this version on a data set; returns it.

        `dataset`: NAME, or NAME@VERSION of one that was pushed; its classes are matched with the
        model's by name. `split`: test, training or validation. `job.wait().evaluation` is what was
        measured; `job.confusion()` and `job.predictions()` tell of single classes and images. The
        version's own result stays as it is. InvalidArgument if the data set does not fit.
        """
        from atelier.job import Job
        request = model_service_pb2.EvaluateModelRequest(
            name=self.message.name, request_id=secrets.token_hex(16),
            dataset=version_name("datasets", dataset),
            split=enum_argument("split", split, job_pb2.DatasetSplit.DESCRIPTOR))
        return Job(self._connection, self._connection.call(self._connection.models.EvaluateModel,
                                                           request, repeats=2))

    def download(self, path: str | os.PathLike[str] = ".", format: str = "archive",
                 force: bool = False) -> pathlib.Path:
        """Downloads the version; returns the file's path.

        `path`: a file, or a folder in which the file is named after the version. `format`: archive
        (.tar.gz), torchscript (.pt) or onnx. AlreadyExists unless `force`; DataLoss if what was
        received does not match the server's checksum, and then no file is written.
        """
        target = pathlib.Path(path)
        number = enum_argument("format", format, model_service_pb2.ModelFormat.DESCRIPTOR)
        request = model_service_pb2.DownloadModelRequest(name=self.message.name, format=number)
        if target.is_dir():
            target = target / f"{self.name}-v{self.version}.{_FILE_ENDINGS[number]}"
        with self._connection.stream(self._connection.models.DownloadModel, request) as chunks:
            return write_download(chunks, target, force)

    def set_alias(self, alias: str, force: bool = False) -> Model:
        """Points an alias at this version, which is loaded first. Returns the version.

        FailedPrecondition if the alias names a version with other classes or another image shape,
        unless `force`; Unavailable if the version cannot be loaded.
        """
        return self._set_alias(alias, self.version, force)

    def remove_alias(self, alias: str) -> Model:
        """Removes an alias of this model. NotFound if it has no such alias."""
        return self._set_alias(alias, 0, False)

    def _set_alias(self, alias: str, version: int, force: bool) -> Model:
        request = model_service_pb2.SetAliasRequest(name=f"models/{self.name}", alias=alias,
                                                    version=version, force=force)
        model = self._connection.call(self._connection.models.SetAlias, request)
        self._aliases = _aliases(model)
        return self

    def delete(self, force: bool = False) -> None:
        """Deletes this version. FailedPrecondition while an alias names it, unless `force`."""
        request = model_service_pb2.DeleteModelRequest(name=self.message.name, force=force)
        self._connection.call(self._connection.models.DeleteModel, request)

    def __repr__(self) -> str:
        return (f"<Model {self.name}@{self.version}: test accuracy "
                f"{100 * self.result.test_accuracy:.2f} %>")


def _aliases(model: model_service_pb2.Model) -> dict[str, int]:
    return {alias.alias: alias.version for alias in model.aliases}


def newest(connection: Connection, model: model_service_pb2.Model) -> Model:
    """The newest version of a model of ListModels."""
    return Model(connection, model.versions[0], _aliases(model))


def all_versions(connection: Connection, name: str) -> list[Model]:
    """All versions of the model, newest first. NotFound."""
    request = model_service_pb2.GetModelRequest(name=f"models/{name}")
    found = []
    while True:
        page = connection.call(connection.models.GetModel, request, repeats=1)
        found += [Model(connection, version, _aliases(page)) for version in page.versions]
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def get_model(connection: Connection, text: str) -> Model:
    """The version that `name`, `name@3` or `name@production` names. NotFound, InvalidArgument."""
    name, version = parse_version("models", text)
    versions = all_versions(connection, name)
    wanted = version or "latest"
    for each in versions:
        if str(each.version) == wanted or wanted in each.aliases:
            return each
    known = sorted({alias for each in versions for alias in each.aliases})
    raise NotFound(f"The model {printable(name)} has no version or alias '{printable(wanted)}'; it has "
                   f"{len(versions)} versions and the aliases {', '.join(known)}.",
                   "VERSION_NOT_FOUND")
