#!/usr/bin/python3
"""One kind of client that asks far too much of a server, until SIGTERM: a part of endurance_figures.py.

    tests/bench/overload_clients.py {jobs,uploads,watchers,connections} --server=HOST:PORT [--many=N] [--job=NAME]

Prints `ready` when it has begun and, at its end, an object with how many calls ended how.
"""
import argparse
import collections
import hashlib
import itertools
import json
import pathlib
import random
import select
import signal
import socket
import struct
import sys
import threading
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "integration")]

import grpc  # noqa: E402

import harness  # noqa: E402
import http2  # noqa: E402

THREADS = 16
CALLS = 1000  # Of one connection at a time.
WINDOW = 1 << 20
REFILL = 5  # Seconds after which watchers that were refused ask again.

ended = threading.Event()
tally = collections.Counter()
tally_lock = threading.Lock()


def count(outcome):
    with tally_lock:
        tally[outcome] += 1


def call(method, *arguments):
    """The answer, or None where the call failed; both are counted."""
    try:
        answer = method(*arguments, timeout=60)
    except grpc.RpcError as error:
        info = harness.error_details(error)[1]
        count(info.reason if info else error.code().name)
        return None
    count("OK")
    return answer


def on_threads(work):
    """Calls work(channel, number) over and over on THREADS threads, each with a channel."""
    numbers = itertools.count()

    def run():
        with grpc.insecure_channel(flags.server, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            while not ended.is_set():
                work(channel, next(numbers))

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    for thread in threads:
        thread.join()


def jobs():
    """Both cores each, so that they wait for the one that runs."""
    spec = harness.job_pb.TrainingSpec(preset="dense", dataset="small", epochs=1, cores=2)

    def start(channel, _):
        stub = harness.stubs("training_service").TrainingServiceStub(channel)
        call(stub.StartTraining, harness.training_pb.StartTrainingRequest(spec=spec, base_name="many"))

    on_threads(start)


def uploads():
    """Of --many different files of 1 MB; every second one that was written is deleted again."""
    noise = random.Random(1).randbytes(1_000_000)
    pb = harness.dataset_pb

    def upload(channel, number):
        stub = harness.stubs("dataset_service").DatasetServiceStub(channel)
        content = struct.pack(">Q", number % flags.many) + noise
        made = call(stub.CreateUpload, pb.CreateUploadRequest(
            dataset="datasets/many", size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest()))
        if made is None:
            return
        pieces = [pb.WriteUploadRequest(name=made.name, offset=at, data=content[at:at + (256 << 10)])
                  for at in range(made.received_bytes, len(content), 256 << 10)]
        if pieces:
            call(stub.WriteUpload, iter(pieces))
        if number % 2:
            call(stub.DeleteUpload, pb.DeleteUploadRequest(name=made.name))

    on_threads(upload)


class Watching(http2.Connection):
    """CALLS streams of a job's events, all of which are read."""

    def __init__(self, message):
        super().__init__(flags.server, initial_window=WINDOW)
        self.message, self.unacknowledged, self.open = message, 0, set()

    def fill(self):
        self.open -= self.ended.keys()
        for stream in self.ended:
            self.windows.pop(stream, None)
        tally["refused"] += len(self.ended)
        self.ended.clear()
        while len(self.open) < CALLS:
            stream = self.call("/atelier.v1.TrainingService/StreamMetrics")
            self.socket.sendall(self.frame(http2.DATA, http2.END_STREAM, stream, self.message))
            self.open.add(stream)
            tally["opened"] += 1

    def take(self, kind, frame_flags, stream, payload):
        super().take(kind, frame_flags, stream, payload)
        if kind == http2.DATA:
            tally["bytes"] += len(payload)
            self.unacknowledged += len(payload)
            if self.unacknowledged > 32 << 10:
                more = struct.pack(">I", self.unacknowledged)
                self.socket.sendall(self.frame(http2.WINDOW_UPDATE, 0, 0, more))
                self.unacknowledged = 0


def watchers():
    """--many streams, as many a connection as it may have; those refused ask again every few seconds."""
    message = http2.grpc_message(harness.training_pb.StreamMetricsRequest(name=flags.job).SerializeToString())
    connections = [Watching(message) for _ in range(max(1, flags.many // CALLS))]
    print("ready", flush=True)
    while not ended.is_set():
        for connection in connections:
            connection.fill()
        until = time.monotonic() + REFILL
        while not ended.is_set() and time.monotonic() < until:
            for connection in select.select([c.socket for c in connections], [], [], 0.1)[0]:
                next(c for c in connections if c.socket is connection).read(0)
    tally["open at the end"] = sum(len(c.open - c.ended.keys()) for c in connections)


def connections():
    """--many connections, of which those stay that the server leaves open."""
    host, port = flags.server.rsplit(":", 1)
    poller, held = select.epoll(), {}
    print("ready", flush=True)
    while not ended.is_set():
        if tally["opened"] < flags.many:
            one = socket.create_connection((host, int(port)))
            held[one.fileno()] = one
            poller.register(one, select.EPOLLRDHUP)
            tally["opened"] += 1
        for descriptor, _ in poller.poll(0 if tally["opened"] < flags.many else 0.1):
            held.pop(descriptor).close()
            tally["closed by the server"] += 1
    tally["open at the end"] = len(held)


def main():
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    {work.__name__: work for work in (jobs, uploads, watchers, connections)}[flags.kind]()
    print(json.dumps(tally), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["jobs", "uploads", "watchers", "connections"])
    parser.add_argument("--server", required=True)
    parser.add_argument("--many", type=int, default=1000)
    parser.add_argument("--job", help="whose events are watched")
    flags = parser.parse_args()
    main()
