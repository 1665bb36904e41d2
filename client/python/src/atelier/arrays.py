"""numpy, which only what returns or takes arrays needs."""

from __future__ import annotations

from typing import Any

from atelier.errors import FailedPrecondition


def numpy() -> Any:
    """The module; FailedPrecondition says how to get it."""
    try:
        import numpy as module
    except ImportError:
        raise FailedPrecondition("This needs numpy: pip install numpy, or on Debian "
                                 "apt install python3-numpy.") from None
    return module


def floats(data: bytes, shape: Any) -> Any:
    """The numbers of a message, float32 in little-endian order, as an array of the shape."""
    return numpy().frombuffer(data, "<f4").reshape(tuple(shape))
