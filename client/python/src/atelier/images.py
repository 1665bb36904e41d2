"""Images as numpy arrays, files or bytes, made into the inputs that the services take.

Thread-safe: pure functions.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from atelier.arrays import numpy
from atelier.errors import InvalidArgument, printable
from atelier.v1 import inference_service_pb2 as inference
from atelier.v1 import model_service_pb2

_MOST_BYTES = 4 << 20  # Of the images of a request, a quarter of what a message may have.
_MOST_FILES = 32
_MOST_FILE_BYTES = 10 << 20  # Of one file; the server's limit.


@dataclass
class Batch:
    """The images of one request; `fields` are those of ClassifyRequest and GetFeatureMapsRequest."""

    fields: dict[str, Any]
    # What each image is called in errors.
    names: list[str]


def shape_text(shape: model_service_pb2.ImageShape) -> str:
    channels = f"×{shape.channels}" if shape.channels > 1 else ""
    return f"{shape.height}×{shape.width}{channels}"


def as_pixels(array: Any, shape: model_service_pb2.ImageShape) -> Any:
    """The array as N×H×W×C, a view of it. InvalidArgument if it is not made of such images."""
    size = (shape.height, shape.width)
    dimensions = array.shape
    if dimensions in (size, (*size, shape.channels)) and (len(dimensions) == 3 or shape.channels == 1):
        array = array[None]
    if array.ndim == 3 and shape.channels == 1:
        array = array[..., None]
    if array.ndim != 4 or array.shape[1:] != (*size, shape.channels):
        raise InvalidArgument(fields={"images": (
            f"the array's shape is {'×'.join(map(str, dimensions)) or 'that of a single number'}; the "
            f"model takes N×{shape_text(shape)}, or one image of {shape_text(shape)}. PNG, JPEG "
            "and WebP files may have any size.")})
    return array


def _float_images(pixels: Any) -> inference.FloatImages:
    """A message of the numbers, which have to be from 0 to 1."""
    if not (pixels.min() >= 0 and pixels.max() <= 1):  # NaN is neither.
        raise InvalidArgument(fields={"images": (
            f"floats have to be from 0 to 1; these reach from {pixels.min():g} to {pixels.max():g}. "
            "Divide pixels of 0 to 255 by 255, or pass them as uint8.")})
    data = pixels.astype("<f4").tobytes()
    # The encoded message, field 1 with its length: adding millions of Python floats takes seconds.
    length = bytearray()
    rest = len(data)
    while rest > 0x7F:
        length.append(rest & 0x7F | 0x80)
        rest >>= 7
    length.append(rest)
    return inference.FloatImages.FromString(b"\x0a" + bytes(length) + data)


def _array_batches(images: Any, shape: model_service_pb2.ImageShape, most: int) -> Iterator[Batch]:
    pixels = as_pixels(images, shape)
    if pixels.dtype != "uint8" and pixels.dtype.kind != "f":
        raise InvalidArgument(fields={"images": (
            f"the array's numbers are {pixels.dtype}; pass uint8 (0 to 255) or floats (0 to 1).")})
    bytes_each = shape.channels * shape.height * shape.width * (1 if pixels.dtype == "uint8" else 4)
    count = max(1, min(most, _MOST_BYTES // bytes_each))
    for begin in range(0, len(pixels), count):
        # The services take images channel by channel.
        part = numpy().ascontiguousarray(pixels[begin:begin + count].transpose(0, 3, 1, 2))
        names = [f"images[{begin + i}]" for i in range(len(part))]
        if part.dtype == "uint8":
            yield Batch({"raw": inference.RawImages(pixels=part.tobytes())}, names)
        else:
            yield Batch({"floats": _float_images(part)}, names)


def _contents(image: Any, index: int) -> tuple[str, bytes]:
    """A file's name for errors, and its bytes."""
    if isinstance(image, (bytes, bytearray, memoryview)):
        name, data = f"images[{index}]", bytes(image)
    elif isinstance(image, (str, os.PathLike)):
        name = printable(os.fspath(image))
        try:
            with open(image, "rb") as file:
                data = file.read(_MOST_FILE_BYTES + 1)
        except OSError as error:
            raise InvalidArgument(fields={name: f"it cannot be read: {error.strerror}."}) from None
    else:
        raise InvalidArgument(fields={f"images[{index}]": (
            f"a {type(image).__name__} is no image; pass the bytes of PNG, JPEG or WebP files, or "
            "their paths, or one array of all images.")})
    if len(data) > _MOST_FILE_BYTES:
        raise InvalidArgument(fields={name: "it has more than 10 MiB."})
    return name, data


def _file_batches(images: Iterable[Any], options: dict[str, Any], most: int) -> Iterator[Batch]:
    names: list[str] = []
    files: list[bytes] = []
    for index, image in enumerate(images):
        name, data = _contents(image, index)
        full = len(files) >= min(most, _MOST_FILES) or sum(map(len, files)) + len(data) > _MOST_BYTES
        if files and full:
            yield Batch({"encoded": inference.EncodedImages(files=files, **options)}, names)
            names, files = [], []
        names.append(name)
        files.append(data)
    if files:
        yield Batch({"encoded": inference.EncodedImages(files=files, **options)}, names)


def batches(images: Any, shape: model_service_pb2.ImageShape, options: dict[str, Any],
            most: int) -> Iterator[Batch]:
    """The images in batches of at most `most`, each read when its turn comes.

    `images` is an array (N×H×W or N×H×W×C, uint8 or floats from 0 to 1, or one such image), or PNG
    or JPEG files, one or an iterable: their bytes or their paths. `options` are fields of
    EncodedImages. InvalidArgument names the image that is wrong.
    """
    if hasattr(images, "__array__"):
        return _array_batches(numpy().asarray(images), shape, most)
    if isinstance(images, (bytes, bytearray, memoryview, str, os.PathLike)):
        images = [images]
    if not isinstance(images, Iterable):
        raise InvalidArgument(fields={"images": f"a {type(images).__name__} is neither an array nor a "
                                                "list of files."})
    rest = iter(images)
    for first in rest:
        if hasattr(first, "__array__"):
            # A list of arrays.
            return _array_batches(_stacked([first, *rest]), shape, most)
        return _file_batches(itertools.chain([first], rest), options, most)
    return iter(())


def _stacked(arrays: list[Any]) -> Any:
    try:
        return numpy().stack([numpy().asarray(array) for array in arrays])
    except ValueError:
        raise InvalidArgument(fields={"images": "the arrays of a list must all have one shape."}) from None
