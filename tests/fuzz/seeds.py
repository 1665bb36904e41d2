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
import sqlite3
import struct
import sys
import tarfile
import tempfile
import zipfile
import zlib

import grpc
import numpy
from google.protobuf import text_format

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


# As in entries.h.
NEXT, MORE = b"\n--next\n", b"\n--more\n"
# Of the backup in the corpus.
JOB = "jobs/tiny-20261130-071947"


def methods():
    """Every method's path and the class of its requests, by the last part of its service and its own name."""
    # `grpc` is a package of its own, as `google` in harness.py.
    grpc.__path__.append(str(pathlib.Path(harness.job_pb.__file__).parents[2] / "grpc"))
    files = [harness.proto(f"{name}_service") for name in
             ("training", "model", "dataset", "experiment", "inference", "monitoring", "admin")]
    files += map(importlib.import_module, ("inference.grpc_service_pb2", "grpc.health.v1.health_pb2",
                                           "grpc.reflection.v1alpha.reflection_pb2",
                                           "atelier.worker.v1.worker_service_pb2"))
    return {f"{service.name}/{method.name}": (f"{service.full_name}/{method.name}", method.input_type._concrete_class)
            for file in files for service in file.DESCRIPTOR.services_by_name.values() for method in service.methods}


def read_calls():
    """The inputs of calls.txt: lists of calls, each a list of the method and the texts of its messages."""
    inputs = {}
    for line in (TESTS / "fuzz" / "calls.txt").read_text().splitlines():
        if line.startswith("["):
            calls_of_one = inputs.setdefault(line[1:-1], [])
        elif line.startswith("  "):
            calls_of_one[-1][-1] += line[1:]
        elif line.startswith("+ "):
            calls_of_one[-1].append(line[2:])
        elif line and not line.startswith("#"):
            method, _, text = line.partition(" ")
            calls_of_one.append([method, text])
    return inputs


def calls():
    known, inputs = methods(), read_calls()
    missing = set(known) - {call[0] for entries in inputs.values() for call in entries}
    assert not missing, f"calls.txt has none of {missing}"
    for name, entries in inputs.items():
        save("rpcs", name, NEXT.join(
            known[method][0].encode() + b"\n"
            + MORE.join(text_format.Parse(text, known[method][1]()).SerializeToString() for text in texts)
            for method, *texts in entries))


def nameless(message):
    """As bytes, without what says which row it is of: events.cc fills that in."""
    for field in {"name", "version", "number"} & set(message.DESCRIPTOR.fields_by_name):
        message.ClearField(field)
    return message.SerializeToString()


def stored():
    """Inputs for `events`: what the backup of the corpus holds."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(CORPUS / "backup" / "small") as archive:
            archive.extract("atelier.db", folder)
        database = sqlite3.connect(f"{folder}/atelier.db")
        for place, message, key in (
                ("events.event", harness.job_pb.JobEvent, "job, number"), ("jobs.job", harness.job_pb.TrainingJob, "key"),
                ("jobs.request", None, "key"),
                ("evaluations.confusion_matrix", harness.job_pb.ConfusionMatrix, "job"),
                ("evaluations.predictions", harness.training_pb.GetPredictionsResponse, "job"),
                ("versions.data", harness.model_pb.ModelVersion, "model, version"),
                ("dataset_versions.data", harness.dataset_pb.Dataset, "dataset, version")):
            table, column = place.split(".")
            rows = database.execute(f"SELECT {column} FROM {table} ORDER BY {key}").fetchall()
            save("events", place, place.encode() + b"\n" + MORE.join(
                nameless(message.FromString(row)) if message else row for row, in rows))
    running = harness.job_pb.TrainingJob(state=4, spec={"preset": "cnn-1", "dataset": "tiny@1", "cores": 1}, attempts=[
        {"number": 1, "cores": 1}], transitions=[{"state": 1}, {"state": 2, "attempt": 1}], progress={"epoch": 1})
    save("events", "running", b"jobs.job\n" + running.SerializeToString())
    experiment = harness.proto("experiment_service")
    save("events", "experiments.experiment", b"experiments.experiment\n" + experiment.Experiment(
        state=1, configurations=[{"preset": "cnn-1", "dataset": "tiny"}], seeds=[1, 2]).SerializeToString())
    save("events", "experiments.request", b"experiments.request\n" + experiment.StartExperimentRequest(
        base_name="e", seeds=[1]).SerializeToString())
    save("events", "notices.data", b"notices.data\n" + harness.job_pb.TrainingJob(name=JOB, state=8).SerializeToString())
    save("events", "upload.pb", b"upload.pb\n" + harness.dataset_pb.Upload(
        name="uploads/" + "0" * 32, dataset="more", size_bytes=9, sha256="0" * 64, source_name="a.csv").SerializeToString())
    registry = importlib.import_module("atelier.published.v1.registry_pb2").Registry()
    registry.models.add(name="models/tiny", version_count=1).versions.add(
        name="models/tiny/versions/1", version=1, sha256="0" * 64, size_bytes=4471, job=JOB)
    save("events", "registry.pb", b"registry.pb\n" + registry.SerializeToString())
    save("events", "serving.json", b'serving.json\n{"loaded": [{"model": "tiny", "reference": "latest"}], "unloaded": []}')


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
    calls()
    stored()
    if chosen.models:
        models(chosen.models)
