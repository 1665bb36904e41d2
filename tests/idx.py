"""Reads and writes IDX files of bytes."""

import gzip
import struct

import numpy


def read_idx(path):
    """An IDX file of bytes as an array."""
    with gzip.open(path) as file:
        data = file.read()
    dimensions = struct.unpack(f">{data[3]}I", data[4:4 + 4 * data[3]])
    return numpy.frombuffer(data, numpy.uint8, offset=4 + 4 * data[3]).reshape(dimensions)


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    with gzip.GzipFile(path, "wb", mtime=0) as file:
        file.write(header + array.tobytes())
