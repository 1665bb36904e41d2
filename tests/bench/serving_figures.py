#!/usr/bin/python3
"""The serving figures of docs/serving.md: trains a model, loads a server with it and measures.

    tests/bench/serving_figures.py [--preset=cnn-3] [--seconds=10] [--only=NAME,…]

Server, load generator and the plain Python server share the machine's cores, in one run after the
other. Prints a line per figure: what was measured, what it is compared with, the ratio, and whether
that is what docs/serving.md promises; with --json one object a line. The exit code is 1 if a promise
was not kept.
"""
import argparse
import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import harness  # noqa: E402

MODEL = "figures"
ALIAS_CHANGES = 1000
MILLION = 1_000_000
SETTLED = 50_000


class Figures:
    """Measures and prints. Every method named figure_… is one figure or a few that belong together."""

    def __init__(self, server, flags):
        self.server, self.flags = server, flags
        self.archive = server.data_dir / "models" / MODEL / "1" / "model.tar.gz"
        self.kept = True
        self.engine = self.capacity = None

    def report(self, name, value, unit, promise, kept):
        self.kept = self.kept and kept
        if self.flags.json:
            print(json.dumps({"figure": name, "value": value, "unit": unit, "promise": promise,
                              "kept": kept}), flush=True)
        else:
            print(f"{name:44}{value:12.2f} {unit:12}{promise:22}{'kept' if kept else 'NOT KEPT'}",
                  flush=True)

    def note(self, name, value, unit):
        self.report(name, value, unit, "", True)

    def bench(self, *arguments, address=None, model=MODEL, seconds=None):
        command = [str(harness.BIN / "atelier"), f"--server={address or self.server.address}",
                   "--output=json", "bench", "classify", model,
                   f"--duration={seconds or self.flags.seconds}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not done.stdout:
            raise RuntimeError(f"{' '.join(command)} said: {done.stderr}")
        return json.loads(done.stdout)

    def engine_speed(self):
        if self.engine is None:
            self.engine = json.loads(subprocess.check_output(
                [str(harness.BIN / "engine_bench"), f"--model={self.archive}", "--json"]))
        return self.engine

    def served_capacity(self):
        if self.capacity is None:
            self.capacity = self.bench("--concurrency=64")["requests_per_second"]
        return self.capacity

    def bare_calls(self, *arguments):
        return json.loads(subprocess.check_output(
            [str(harness.BIN / "call_bench"), f"--server={self.server.address}", "--json",
             *arguments]))

    def figure_throughput(self):
        ceiling = self.engine_speed()["images_per_second"]
        reached = self.served_capacity()
        self.note("engine without gRPC", ceiling, "images/s")
        self.note("Classify, 64 in flight", reached, "requests/s")
        calls = self.bare_calls("--concurrency=64", "--connections=4")["calls_per_second"]
        self.note("bare calls, 64 in flight", calls, "calls/s")
        self.note("of what bare calls and the engine leave", reached * (1 / calls + 1 / ceiling), "")
        self.report("of what the engine reaches", reached / ceiling, "", "at least 0.60",
                    reached / ceiling >= 0.6)

    def figure_plain(self):
        reached = self.served_capacity()
        best = 0
        for threads in (0, 1):
            with plain_server(self.archive, threads) as address:
                best = max(best, self.bench("--concurrency=64", "--deadline=60", address=address,
                                            model="plain")["requests_per_second"])
        self.note("plain Python server, the better of two", best, "requests/s")
        self.report("times the plain Python server", reached / best, "", "at least 8",
                    reached / best >= 8)

    def figure_half_load(self):
        measured = self.bench(f"--rate={self.served_capacity() / 2}")
        p99 = measured["latency_ms"]["p99"]
        self.report("p99 at half of that load, open loop", p99, "ms", "below 10",
                    p99 < 10 and not measured["errors"])

    def figure_one_in_flight(self):
        calls = []
        latencies = []
        for _ in range(3):
            calls.append(self.bare_calls())
            latencies.append(self.bench("--concurrency=1", seconds=3)["latency_ms"]["p50"] * 1000)
        call = sorted(c["p50_us"] for c in calls)[1]
        latency = sorted(latencies)[1]
        engine = self.engine_speed()["microseconds_per_image"]["1"]
        self.note("a bare call, p50", call, "µs")
        self.note("the engine, one image", engine, "µs")
        self.note("Classify, one in flight, p50", latency, "µs")
        self.report("of bare call and engine", latency / (call + engine), "", "at most 1.5",
                    latency / (call + engine) <= 1.5)

    def figure_alias_changes(self):
        """Both versions answer, nothing else does, and nobody fails."""
        alias = f"{MODEL}@production"
        self.set_alias(1)
        steady = self.bench("--concurrency=64", model=alias)["latency_ms"]["p99"]
        changes, ended = [0], threading.Event()

        def change():
            pause = self.flags.seconds / ALIAS_CHANGES / 2
            while not ended.is_set():
                self.set_alias(1 + changes[0] % 2)
                changes[0] += 1
                time.sleep(pause)

        changer = threading.Thread(target=change)
        changer.start()
        measured = {"answered": 0, "failed": 0, "p99": []}
        while changes[0] < ALIAS_CHANGES:
            part = self.bench("--concurrency=64", model=alias)
            measured["answered"] += part["answered"]
            measured["failed"] += part["failed"]
            measured["p99"].append(part["latency_ms"]["p99"])
            strangers = set(part["versions"]) - {f"models/{MODEL}/versions/{v}" for v in (1, 2)}
            measured["failed"] += len(strangers)
        ended.set()
        changer.join()
        p99 = max(measured["p99"])
        self.note("changes of production under full load", changes[0], "")
        self.report("failed requests meanwhile", measured["failed"], "", "none",
                    measured["failed"] == 0)
        self.report("p99 over the steady one", p99 / steady, "", "at most 2", p99 / steady <= 2)

    def set_alias(self, version):
        self.server.models.SetAlias(harness.model_pb.SetAliasRequest(
            name=f"models/{MODEL}", alias="production", version=version))

    def figure_memory(self):
        self.bench("--concurrency=64", seconds=1)
        answered = 0
        before = None
        while answered < MILLION:
            answered += self.bench("--concurrency=64", "--warmup=0")["answered"]
            if before is None and answered >= SETTLED:
                before = resident_mib(self.server.process.pid)
        growth = resident_mib(self.server.process.pid) - before
        self.note("requests answered", answered, "")
        self.report("memory growth after the first 50,000", growth, "MiB", "below 16", growth < 16)

    def figure_overload(self):
        """Many images a request, so that it is the engine that is overloaded; less so with fewer."""
        for images in (32, 128):
            size = f"--images={images}"
            capacity = self.bench("--concurrency=16", size)["requests_per_second"]
            measured = self.bench(f"--rate={4 * capacity}", size, "--deadline=0.05",
                                  "--max-in-flight=10000")
            goodput = measured["answered"] / measured["seconds"]
            asked = measured["sent"] / measured["seconds"]
            refusals = self.bare_calls("--concurrency=64", "--connections=4", f"--bytes={784 * images}")[
                "calls_per_second"]
            # Of each second, what is not spent on reading and refusing the others.
            left = (1 - asked / refusals) / (1 / capacity - 1 / refusals)
            self.note(f"capacity, {images} images a request", capacity, "requests/s")
            self.note("asked for", asked, "requests/s")
            self.note("bare calls of that size", refusals, "calls/s")
            self.note("of what refusing the others leaves", goodput / left, "")
            self.report(f"in time under 4 times overload, {images}", goodput / capacity, "",
                        "at least 0.80", goodput / capacity >= 0.8)


def resident_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1]) / 1024


@contextlib.contextmanager
def plain_server(archive, threads):
    process = subprocess.Popen(
        ["/usr/bin/python3", str(pathlib.Path(__file__).with_name("plain_server.py")),
         f"--model={archive}", f"--threads={threads}"], stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def main():
    known = [name.removeprefix("figure_") for name in vars(Figures) if name.startswith("figure_")]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="cnn-3")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    parser.add_argument("--only", default=",".join(known), help=f"some of {', '.join(known)}")
    parser.add_argument("--json", action="store_true")
    flags = parser.parse_args()
    for name in flags.only.split(","):
        if name not in known:
            parser.error(f"there is no figure {name}; there are {', '.join(known)}")
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as folder:
        folder = pathlib.Path(folder)
        (folder / "small").mkdir()
        small = harness.make_subset(folder / "small", training=2000, test=500)
        with harness.Server(folder / "data", datasets={"small": small}) as server:
            # What the numbers are does not matter for how long computing takes.
            for _ in range(2):
                server.wait_job(server.start_job("figures", preset=flags.preset, model_name=MODEL,
                                                 epochs=1))
            figures = Figures(server, flags)
            for name in flags.only.split(","):
                getattr(figures, f"figure_{name}")()
    sys.exit(0 if figures.kept else 1)


if __name__ == "__main__":
    main()
