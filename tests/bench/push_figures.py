#!/usr/bin/python3
"""The figures of docs/datasets.md on pushing: Fashion-MNIST as a folder of 70,000 PNG files, which has
to become the same data set and train the same weights as its IDX files, and a large .npz.

    tests/bench/push_figures.py [--npz-gigabytes=2] [--rounds=1] [--folder=DIR]

Prints the time from the command to the version, how much of it the import took, files or bytes a
second, and of client, server and worker the largest resident memory and the processor time, in
brackets that of the kernel. `--folder` is where files and server are kept, by default a temporary
folder: on a file system in memory it shows what the disk costs.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import zlib

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "faults")]

import numpy  # noqa: E402

import harness  # noqa: E402
from idx import read_idx  # noqa: E402
from recovery import weights_of  # noqa: E402

CLOTHES = pathlib.Path("/usr/share/datasets/fashion-mnist")
NAMES = {"train": "train", "test": "t10k"}


def png(pixels):
    """A grey PNG file."""
    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
    height, width = pixels.shape
    rows = numpy.insert(pixels, 0, 0, axis=1).tobytes()
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 6))
            + chunk(b"IEND", b""))


def write_pictures(folder):
    """`train` and `test` with a folder per class; files are numbered as in the IDX files."""
    for split, prefix in NAMES.items():
        images = read_idx(CLOTHES / f"{prefix}-images-idx3-ubyte.gz")
        labels = read_idx(CLOTHES / f"{prefix}-labels-idx1-ubyte.gz")
        for label in range(10):
            (folder / split / str(label)).mkdir(parents=True)
        for number, (image, label) in enumerate(zip(images, labels)):
            (folder / split / str(label) / f"{number:05}.png").write_bytes(png(image))


def write_npz(path, gigabytes):
    """64×64 images in colour, noise."""
    count = int(gigabytes * 1e9 / (3 * 64 * 64))
    draw = numpy.random.default_rng(1)
    images = draw.integers(0, 256, (count, 64, 64, 3), numpy.uint8)
    numpy.savez(path, x_train=images, y_train=numpy.arange(count) % 10,
                x_test=images[:1000, ::-1].copy(), y_test=numpy.arange(1000) % 10)


class Usage:
    """What processes use while it is open: the largest resident memory in MiB, and processor seconds."""

    def __init__(self, processes):
        self.processes = processes  # {name: function that gives a list of process ids}
        self.largest = dict.fromkeys(processes, 0)
        self.begin = {pid: processor(pid) for find in processes.values() for pid in find()}
        self.seconds = {}  # By name and process: user and system, when last seen.
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def watch(self):
        while not self.done.wait(0.05):
            for name, find in self.processes.items():
                for pid in find():
                    self.largest[name] = max(self.largest[name], resident(pid))
                    if seconds := processor(pid):
                        self.seconds[name, pid] = seconds

    def processor_of(self, name):
        """User and system seconds, all processes of the name together, since it was opened."""
        used = [numpy.subtract(seconds, self.begin.get(pid) or (0, 0))
                for (whose, pid), seconds in self.seconds.items() if whose == name]
        return numpy.sum(used, axis=0) if used else (0, 0)


def processor(pid):
    """User and system seconds of a process; None if it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return [int(ticks) / os.sysconf("SC_CLK_TCK") for ticks in fields[11:13]]


def resident(pid):
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return max([int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM")], default=0)


def push(server, name, path):
    """Seconds, those of the import, and what the processes used."""
    begin = time.monotonic()
    client = subprocess.Popen([str(harness.BIN / "atelier"), f"--server={server.address}", "datasets",
                               "push", name, str(path)], stdout=subprocess.DEVNULL)
    with Usage({"client": lambda: [client.pid], "server": lambda: [server.process.pid],
                "worker": server.worker_pids}) as usage:
        assert client.wait() == harness.DONE
    seconds = time.monotonic() - begin
    return seconds, server.json("jobs")[0]["import_result"]["seconds"], usage


def show(what, amount, unit, seconds, imported, usage):
    print(f"{what}: {seconds:.1f} s, of which the import {imported:.1f}, {amount / seconds:,.0f} {unit}/s",
          flush=True)
    for name, size in usage.largest.items():
        user, system = usage.processor_of(name)
        print(f"    {name}: {user + system:.2f} s of processor ({system:.2f}), at most {size} MiB",
              flush=True)


def trained_weights(server, dataset):
    """The weights after two epochs."""
    name = server.start_job(preset="cnn-1", dataset=dataset, epochs=2, cores=2, model_name=dataset)
    return weights_of(server, server.wait_job(name, "COMPLETED", timeout=600))


def main():
    parser = argparse.ArgumentParser(description="How fast data sets are pushed.")
    parser.add_argument("--npz-gigabytes", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=pathlib.Path)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=flags.folder) as folder:
        folder = pathlib.Path(folder)
        write_pictures(folder / "pictures")
        write_npz(folder / "large.npz", flags.npz_gigabytes)
        with harness.Server(folder / "data", {"idx": CLOTHES}, ["--dataset_space=20GiB"]) as server:
            for number in range(flags.rounds):
                show("70,000 PNG files", 70_000, "files",
                     *push(server, f"pictures-{number}", folder / "pictures"))
                show(f"{flags.npz_gigabytes:g} GB of .npz", (folder / "large.npz").stat().st_size / 1e6,
                     "MB", *push(server, f"large-{number}", folder / "large.npz"))
            checksums = {server.json("datasets", "show", name)[0]["checksum"]
                         for name in ("idx", "pictures-0")}
            same = trained_weights(server, "idx") == trained_weights(server, "pictures-0")
            print(f"PNG files and IDX files: checksums {'equal' if len(checksums) == 1 else 'differ'}, "
                  f"weights {'bit-identical' if same else 'differ'}")


if __name__ == "__main__":
    main()
