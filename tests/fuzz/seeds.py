#!/usr/bin/python3
"""Writes the small inputs from which fuzzing starts into tests/fuzz/corpus: one of each format at least.

    tests/fuzz/seeds.py [--models=FOLDER]     # FOLDER: a model.tar.gz, a .ckpt, a packed data set and a backup of
                                              # tiny images, as atelierd left them
"""
import argparse
import gzip
import importlib
import io
import json
import pathlib
import struct
import sys
import tarfile
import zipfile
import zlib

import numpy

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

import harness  # noqa: E402

CORPUS = TESTS / "fuzz" / "corpus"
# As in import.cc.
ZIP, TAR, TAR_GZ, NPZ, NPY, CSV = range(6)


def save(target, name, content):
    path = CORPUS / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def png(width, height, color=0, pixels=None, further=b""):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    size = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    rows = pixels or b"".join(b"\0" + bytes((x * 40 + y * 9) % (2 if color == 3 else 256)
                                            for x in range(width * size)) for y in range(height))
    palette = chunk(b"PLTE", b"\0\0\0\xff\x80\x20") if color == 3 else b""
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0))
            + palette + further + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def idx(array, kind=8):
    return struct.pack(">BBBB", 0, 0, kind, array.ndim) + b"".join(
        struct.pack(">I", n) for n in array.shape) + array.astype(">i4" if kind == 12 else "u1").tobytes()


def npy(array):
    stream = io.BytesIO()
    numpy.save(stream, array)
    return stream.getvalue()


def zipped(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def tarred(files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def pictures():
    for color in (0, 2, 3, 4, 6):
        save("image", f"png-{color}", png(5, 4, color))
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    save("image", "exif", tiff)
    try:
        from PIL import Image
    except ImportError:
        sys.exit("seeds.py needs python3-pil for JPEG and WebP")
    picture = Image.fromarray(numpy.arange(5 * 4 * 3, dtype="u1").reshape(4, 5, 3))
    for name, options in (("jpeg", {}), ("jpeg-exif", {"exif": b"Exif\0\0" + tiff}), ("webp", {}),
                          ("webp-lossless", {"lossless": True})):
        stream = io.BytesIO()
        picture.save(stream, name.split("-")[0], **options)
        save("image", name, stream.getvalue())


def arrays():
    images = numpy.arange(8 * 4 * 4, dtype="u1").reshape(8, 4, 4)
    labels = numpy.array([0, 1] * 4, "u1")
    save("idx", "images", idx(images))
    save("idx", "images-gz", gzip.compress(idx(images), mtime=0))
    save("idx", "labels", idx(labels))
    save("idx", "extended", idx(numpy.zeros((2, 8)), 12))
    for kind in ("u1", ">i4", "<f4", "<f8", "?", "<f2"):
        save("npy", f"type-{numpy.dtype(kind).char}", npy(images[:2].astype(kind)))
    save("npy", "fortran", npy(numpy.asfortranarray(images[:2])))
    numpys = {"x_train.npy": npy(images), "y_train.npy": npy(labels), "x_test.npy": npy(images[:4]),
              "y_test.npy": npy(labels[:4])}
    save("import", "npz", bytes([NPZ]) + zipped(numpys))
    save("import", "npy", bytes([NPY]) + npy(images))
    rows = "\n".join(",".join(map(str, [label, *image.ravel()])) for label, image in zip(labels, images))
    pixels = ",".join(f"pixel{i}" for i in range(16))
    save("import", "csv", bytes([CSV]) + f"label,{pixels}\n{rows}\n".encode())
    folders = {f"{'ab'[i % 2]}/{i}.png": png(4, 4, pixels=b"".join(
        b"\0" + bytes([i * 20 + x for x in range(4)]) for _ in range(4))) for i in range(6)}
    save("import", "folders-zip", bytes([ZIP]) + zipped(folders))
    save("import", "folders-tar", bytes([TAR]) + tarred(folders))
    save("import", "folders-tar-gz", bytes([TAR_GZ]) + gzip.compress(tarred(folders), mtime=0))
    table = "file,label,split\n" + "".join(f"{name},{name[0]},train\n" for name in folders)
    save("import", "table-zip", bytes([ZIP]) + zipped({**folders, "labels.csv": table.encode()}))
    four = {f"{split}-{kind}": content for split in ("train", "t10k") for kind, content in
            (("images-idx3-ubyte", idx(images)), ("labels-idx1-ubyte", idx(labels)))}
    save("import", "idx-zip", bytes([ZIP]) + zipped(four))
    cifar = b"".join(bytes([i % 2]) + bytes((i * 7 + j) % 256 for j in range(3072)) for i in range(4))
    save("import", "cifar-tar-gz", bytes([TAR_GZ]) + gzip.compress(tarred(
        {"data_batch_1.bin": cifar, "test_batch.bin": cifar}), mtime=0))


def texts():
    for path in (TESTS.parent / "docs" / "networks").glob("*.json"):
        save("network", path.stem, json.dumps({
            "network": json.loads(path.read_text()), "input": {"channels": 1, "height": 28, "width": 28},
            "classes": 10, "dropout": 0.3}).encode())
    words = ["8s", "500ms", "20GiB", "jobs/a-1", "experiments/b", "models/m/versions/3", "models/m@latest",
             "datasets/d/versions/1", "uploads/0123456789abcdef0123456789abcdef",
             "https://example.org:8443/hook?x=1", "Cgdjb250aW51ZQ==",
             "token alice operator 0123456789abcdef " + "0" * 64 + "\ncertificate bob viewer\n# comment\n"]
    for i, word in enumerate(words):
        save("words", str(i), word.encode())
    save("engines", "squeue", b"12|RUNNING|None|n1|atelier:here/a/1\n13|PENDING|Priority||atelier:here/b/2\n")
    save("engines", "scontrol", b"JobId=12 JobState=FAILED ExitCode=7:0 NodeList=n1\n")
    save("engines", "sbatch", b"12;cluster\n")
    save("engines", "s3-error", b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>a &amp; b</Message></Error>")
    save("engines", "s3-parts", b"<ListPartsResult><Part><PartNumber>1</PartNumber><ETag>\"0a\"</ETag></Part></ListPartsResult>")
    save("engines", "credentials", b"[default]\naws_access_key_id = A\naws_secret_access_key = B\n")
    save("engines", "template", (TESTS.parent / "deploy" / "kubernetes" / "workers" / "job.json").read_bytes())
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "Eviction", "message": "evicting"}
    state = {"name": "worker", "state": {"terminated": {"exitCode": 7, "reason": "Error"}}}
    save("engines", "list", json.dumps({"items": [
        {"metadata": {"name": "a", "uid": "u", "annotations": {"atelier.launch": "atelier:here/a/1"},
                      "ownerReferences": [{"uid": "u"}]},
         "spec": {"nodeName": "n1", "suspend": True},
         "status": {"phase": "Failed", "conditions": [condition], "containerStatuses": [state]}}]}).encode())


def requests():
    infer = importlib.import_module("inference.grpc_service_pb2")
    request = infer.ModelInferRequest(model_name="m", raw_input_contents=[bytes(16)])
    request.inputs.add(name="images", datatype="UINT8", shape=[1, 1, 4, 4])
    save("requests", "infer", b"\0" + request.SerializeToString())
    classify = harness.proto("inference_service")
    images = classify.ClassifyRequest(model="m")
    images.raw.pixels = bytes(16)
    save("requests", "classify", b"\1" + images.SerializeToString())
    images.encoded.files.append(png(4, 4))
    save("requests", "files", b"\1" + images.SerializeToString())


def models(folder):
    for pattern, target in (("*.tar.gz", "model_archive"), ("*.ckpt", "checkpoint"), ("*.dataset", "dataset_file"),
                            ("*.tar", "backup")):
        for path in pathlib.Path(folder).glob(pattern):
            save(target, path.name.split(".")[0], path.read_bytes())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="")
    chosen = parser.parse_args()
    pictures()
    arrays()
    texts()
    requests()
    if chosen.models:
        models(chosen.models)
