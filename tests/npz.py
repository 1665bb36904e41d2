"""Writes .npz files without numpy, which tests need not have."""

import struct
import zipfile


def npz(path, **arrays):
    """An .npz of lists of equally long rows, without numpy: {name: (shape, bytes)}."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, (shape, data) in arrays.items():
            header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
            header += " " * (-(len(header) + 11) % 64) + "\n"
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\0" + struct.pack("<H", len(header))
                             + header.encode() + data)
    return path
