#!/usr/bin/python3
"""The figures of training through the service that docs/performance.md gives.

    tests/bench/training_figures.py [--preset=cnn-3] [--rounds=5] [--only=NAME,…] [--json]

ready: a server's way from its process' begin to the line that says it serves, with an empty data
directory and with one that has jobs and a model in memory. start: a worker's way from its process'
begin to its first step. memory: a worker's largest resident memory. together: two jobs at once over
the same two one after the other. beside: the 99th percentile of Classify at 100 requests a second
beside a training on all cores, over the one without. Prints a line per figure with its median and
range, and whether it is what docs/performance.md promises; the exit code is 1 if it is not.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import harness  # noqa: E402
from report import Report  # noqa: E402

CORES = len(os.sched_getaffinity(0))


class Figures:
    """Measures and prints. Every method named figure_… is one figure."""

    def __init__(self, server, flags):
        self.server, self.flags = server, flags
        self.report = Report(flags.json)

    def start(self, epochs, **spec):
        fields = dict(preset=self.flags.preset, dataset="fashion-mnist", epochs=epochs,
                      patience=epochs, cores=CORES, shards=CORES)
        return self.server.start_job("figures", **{**fields, **spec})

    def stop(self, job):
        self.server.training.StopJob(harness.training_pb.StopJobRequest(name=job))
        self.server.wait_job(job, "STOPPED", "COMPLETED")

    def time_starts(self, server):
        seconds = []
        for _ in range(self.flags.rounds):
            begin = time.monotonic()
            server.start()
            seconds.append(time.monotonic() - begin)
            server.stop()
        return seconds

    def report_ready(self, name, seconds):
        self.report.add(name, seconds, "s", "below 0.3", statistics.median(seconds) < 0.3)

    def figure_ready(self):
        with tempfile.TemporaryDirectory(prefix="atelier-bench-") as folder:
            self.report_ready("server ready, empty data directory",
                              self.time_starts(harness.Server(pathlib.Path(folder) / "data")))
        self.server.wait_job(self.start(1, model_name="figures"), timeout=600)
        self.server.run("classify", "figures", "--test-image=0", check=harness.DONE)
        self.server.stop()
        self.report_ready("server ready, with a model in memory", self.time_starts(self.server))
        self.server.start()

    def figure_start(self):
        seconds = []
        for i in range(self.flags.rounds + 1):
            job = self.start(5)
            self.server.wait_event(job, "step")
            log = self.server.run("logs", job, check=harness.DONE).stdout
            self.stop(job)
            if i > 0:  # The first unpacks the data set.
                seconds.append(float(re.search(r"first step (\S+) s after", log)[1]))
        self.report.add("worker's begin to first step", seconds, "s", "below 0.2",
                    statistics.median(seconds) < 0.2)

    def figure_memory(self):
        job = self.start(1)
        self.server.wait_job(job, timeout=600)
        samples = harness.kinds(self.server.events(job), "resources")
        mib = max(s.peak_resident_bytes for s in samples) / 2**20
        self.report.add("worker's largest memory", [mib], "MiB", "below 600", mib < 600)

    def figure_together(self):
        """Jobs of one core each, so that two have room at once."""
        ratios = []
        for _ in range(self.flags.rounds):
            begin = time.monotonic()
            for _ in range(2):
                self.server.wait_job(self.start(1), timeout=600)
            apart = time.monotonic() - begin
            begin = time.monotonic()
            for job in [self.start(1, cores=max(1, CORES // 2)) for _ in range(2)]:
                self.server.wait_job(job, timeout=600)
            ratios.append((time.monotonic() - begin) / apart)
        self.report.add("two at once over one after the other", ratios, "", "at most 1",
                    statistics.median(ratios) <= 1)

    def p99(self):
        done = subprocess.run(
            [str(harness.BIN / "atelier"), f"--server={self.server.address}", "--output=json",
             "bench", "classify", "figures", "--rate=100", "--duration=8", "--warmup=1"],
            capture_output=True, text=True, check=True)
        return json.loads(done.stdout)["latency_ms"]["p99"]

    def bare_p99(self):
        done = subprocess.check_output([str(harness.BIN / "call_bench"), f"--server={self.server.address}",
                                        "--rate=100", "--seconds=8", "--json"])
        return json.loads(done)["p99_us"] / 1000

    def figure_beside(self):
        """Beside a training also a call that computes nothing waits for a core: its p99 there and what computing
        adds to a call without a training are an estimate of what is possible."""
        self.server.wait_job(self.start(1, model_name="figures"), timeout=600)
        ratios, left, idle, busy, bare_idle, bare_busy = [], [], [], [], [], []
        for _ in range(self.flags.rounds):
            idle.append(self.p99())
            bare_idle.append(self.bare_p99())
            job = self.start(500)
            self.server.wait_event(job, "step")
            busy.append(self.p99())
            bare_busy.append(self.bare_p99())
            self.stop(job)
            ratios.append(busy[-1] / idle[-1])
            left.append((bare_busy[-1] + idle[-1] - bare_idle[-1]) / idle[-1])
        self.report.add("p99 of Classify, nothing else", idle, "ms")
        self.report.add("p99 of a bare call, nothing else", bare_idle, "ms")
        self.report.add("p99 of Classify beside a training", busy, "ms")
        self.report.add("p99 of a bare call beside a training", bare_busy, "ms")
        self.report.add("the ratio that bare calls leave", left, "")
        self.report.add("ratio", ratios, "", "at most 3", statistics.median(ratios) <= 3)


def main():
    known = [name.removeprefix("figure_") for name in vars(Figures) if name.startswith("figure_")]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="cnn-3")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(known), help=f"some of {', '.join(known)}")
    parser.add_argument("--json", action="store_true")
    flags = parser.parse_args()
    for name in flags.only.split(","):
        if name not in known:
            parser.error(f"there is no figure {name}; there are {', '.join(known)}")
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as folder:
        with harness.Server(pathlib.Path(folder) / "data") as server:
            figures = Figures(server, flags)
            for name in flags.only.split(","):
                getattr(figures, f"figure_{name}")()
    sys.exit(0 if figures.report.kept else 1)


if __name__ == "__main__":
    main()
