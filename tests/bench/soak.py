"""Mixed use of a server for hours, and what the server holds meanwhile: memory, threads, descriptors, files.

The part of endurance_figures.py that takes long. Everything that is made is deleted again, so that only what
leaks can grow.
"""
import hashlib
import json
import os
import pathlib
import random
import re
import statistics
import subprocess
import sys
import time
import traceback
import typing

import grpc

import harness
from metrics_page import Page
from npz import npz

job_pb, training_pb, model_pb, dataset_pb = (harness.job_pb, harness.training_pb, harness.model_pb,
                                             harness.dataset_pb)
MODEL = "soak"
KEPT = 5  # Jobs, and versions of the model.
IMAGES = 200
PAUSE = 5  # Seconds between two rounds.


class Footprint(typing.NamedTuple):
    """What a server holds at one moment."""

    resident_mib: float
    threads: int
    descriptors: int
    files: int  # In the data directory.
    database_kib: int

    @classmethod
    def of(cls, server):
        process = pathlib.Path(f"/proc/{server.process.pid}")
        status = (process / "status").read_text()

        def number(name):
            return int(re.search(rf"^{name}:\s*(\d+)", status, re.M)[1])

        return cls(number("VmRSS") / 1024, number("Threads"), len(os.listdir(process / "fd")),
                   sum(len(files) for _, _, files in os.walk(server.data_dir)),
                   (server.data_dir / "atelier.db").stat().st_size >> 10)


# Beyond these it has grown: a connection or two that is being closed is not growth.
TOLERATED = Footprint(resident_mib=16, threads=2, descriptors=8, files=4, database_kib=256)


def processor_seconds(server):
    """Of the server and of what it has started and that has ended."""
    fields = pathlib.Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


class Soak:
    """Uses a server round after round; `rate` requests a second of Classify go on all the time."""

    def __init__(self, server, folder, seconds, rate):
        self.server, self.folder, self.seconds, self.rate = server, folder, seconds, rate
        self.samples = []  # (seconds since the beginning, Footprint)
        self.rounds = self.errors = 0

    def run(self):
        """Returns what `atelier bench classify` measured over the whole time."""
        self.train()
        bench = subprocess.Popen(
            [str(harness.BIN / "atelier"), f"--server={self.server.address}", "--output=json", "bench",
             "classify", MODEL, f"--rate={self.rate}", f"--duration={self.seconds}s", "--warmup=0"],
            stdout=subprocess.PIPE, text=True)
        begin, used = time.monotonic(), processor_seconds(self.server)
        interval = min(60, self.seconds / 30)
        while time.monotonic() - begin < self.seconds:
            try:
                self.round()
            except (grpc.RpcError, AssertionError, OSError):
                self.errors += 1
                traceback.print_exc()
            self.rounds += 1
            now = time.monotonic() - begin
            if not self.samples or now - self.samples[-1][0] >= interval:
                self.samples.append((now, Footprint.of(self.server)))
                self.show(100 * (processor_seconds(self.server) - used) / now)
            time.sleep(min(PAUSE, interval))
        return json.loads(bench.communicate(timeout=120)[0])

    def show(self, percent):
        now, held = self.samples[-1]
        if len(self.samples) == 1:
            print(f"{'minute':>7}{'MiB':>9}{'threads':>9}{'fds':>6}{'files':>7}{'db KiB':>8}{'rounds':>8}"
                  f"{'errors':>8}{'CPU %':>7}", file=sys.stderr)
        print(f"{now / 60:7.1f}{held.resident_mib:9.1f}{held.threads:9}{held.descriptors:6}{held.files:7}"
              f"{held.database_kib:8}{self.rounds:8}{self.errors:8}{percent:7.0f}", file=sys.stderr, flush=True)

    def growth(self):
        """The median of the last quarter and that of minutes 10 to 20 (of an hour's second sixth), each."""
        begin = min(600, self.seconds / 6)
        first = [held for now, held in self.samples if begin <= now < 2 * begin]
        last = [held for now, held in self.samples if now >= 0.75 * self.seconds]
        return [Footprint(*map(statistics.median, zip(*part))) for part in (first, last)]

    def round(self):
        name = self.train_and_watch()
        self.push()
        self.read(name)
        self.move_alias()
        self.tidy()

    def train(self):
        name = self.server.start_job("soak", epochs=2, model_name=MODEL, seed=self.rounds)
        self.server.wait_job(name, "COMPLETED")
        return name

    def train_and_watch(self):
        """One watcher follows to the end, one of the command line does, and one goes away."""
        name = self.server.start_job("soak", epochs=2, model_name=MODEL, seed=self.rounds + 1)
        watcher = harness.Watcher(self.server, name)
        self.server.wait_event(name, "epoch")
        self.server.run("--output=json", "watch", name, check=harness.DONE)
        watcher.finish()
        return name

    def push(self):
        """A data set that no earlier round had is pushed, read and deleted."""
        draw = random.Random(self.rounds)
        path = npz(self.folder / "pushed.npz", x_train=((IMAGES, 8, 8), draw.randbytes(64 * IMAGES)),
                   y_train=((IMAGES,), bytes(i % 2 for i in range(IMAGES))))
        self.server.run("datasets", "push", "pushed", path, check=harness.DONE)
        service = self.server.dataset_service
        service.GetImages(dataset_pb.GetImagesRequest(
            name="datasets/pushed", split=job_pb.DATASET_SPLIT_TRAINING, indices=range(100)))
        service.DeleteDataset(dataset_pb.DeleteDatasetRequest(name="datasets/pushed", force=True))
        # An upload that is given up half-way.
        content = draw.randbytes(300_000)
        upload = service.CreateUpload(dataset_pb.CreateUploadRequest(
            dataset="datasets/given-up", size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest()))
        service.WriteUpload(iter([dataset_pb.WriteUploadRequest(name=upload.name, data=content[:100_000])]))
        service.DeleteUpload(dataset_pb.DeleteUploadRequest(name=upload.name))

    def read(self, name):
        """Lists, pages, downloads and logs."""
        training, models = self.server.training, self.server.models
        training.ListJobs(training_pb.ListJobsRequest())
        training.GetConfusionMatrix(training_pb.GetConfusionMatrixRequest(name=name))
        models.ListModels(model_pb.ListModelsRequest())
        self.server.dataset_service.ListDatasets(dataset_pb.ListDatasetsRequest())
        for kind in (model_pb.MODEL_FORMAT_ARCHIVE, model_pb.MODEL_FORMAT_TORCHSCRIPT,
                     model_pb.MODEL_FORMAT_ONNX):
            list(models.DownloadModel(model_pb.DownloadModelRequest(name=f"models/{MODEL}", format=kind)))
        list(training.DownloadTensorboard(training_pb.DownloadTensorboardRequest(name=name)))
        list(training.StreamLogs(training_pb.StreamLogsRequest(name=name)))
        Page(self.server)

    def versions(self):
        model = self.server.models.GetModel(model_pb.GetModelRequest(name=f"models/{MODEL}"))
        return sorted((version.version for version in model.versions), reverse=True)

    def move_alias(self):
        """`production` goes back and forth between the newest two versions, and answers each time."""
        for version in self.versions()[:2]:
            self.server.models.SetAlias(model_pb.SetAliasRequest(
                name=f"models/{MODEL}", alias="production", version=version))
            assert self.server.answering(MODEL, "production") == version

    def tidy(self):
        jobs = self.server.training.ListJobs(training_pb.ListJobsRequest()).jobs
        for job in jobs[KEPT:]:
            self.server.training.DeleteJob(training_pb.DeleteJobRequest(name=job.name))
        for version in self.versions()[KEPT:]:
            self.server.models.DeleteModel(model_pb.DeleteModelRequest(
                name=f"models/{MODEL}/versions/{version}"))
