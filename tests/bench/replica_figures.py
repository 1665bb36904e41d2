#!/usr/bin/python3
"""How much more two serving replicas make than one, each pinned to a core of its own.

    tests/bench/replica_figures.py [--preset=cnn-3] [--seconds=5] [--rounds=5] [--images=32] [--cores=0,1]

Trains a model, stops its server, and loads one replica and two of them in turn. The load generator
shares the cores, so that requests are of many images: what is measured is the replicas' computing and
not the generator's. Prints images a second of each round, the medians and their ratio; the exit code
is 1 below 1.8 times, or if a call failed.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import harness  # noqa: E402

PROMISE = 1.8


class Pinned(harness.Server):
    """A replica that may use one core."""

    def __init__(self, folder, registry, core):
        super().__init__(folder, flags=["--role=serving", f"--registry={registry}"])
        self.core = core

    def command(self):
        return ["taskset", "--cpu-list", str(self.core), *super().command()]


def bench(replicas, flags):
    servers = ",".join(replica.address for replica in replicas)
    done = subprocess.run(
        [str(harness.BIN / "atelier"), f"--server={servers}", "--output=json", "bench", "classify",
         "figures", f"--duration={flags.seconds}", f"--images={flags.images}",
         f"--concurrency={8 * len(replicas)}"], capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout)
    if measured["failed"]:
        sys.exit(f"{measured['failed']} calls failed: {measured['errors']}")
    return measured["images_per_second"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", default="cnn-3")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--cores", default="0,1", help="the two replicas'")
    flags = parser.parse_args()
    first, second = flags.cores.split(",")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        data = harness.make_subset(folder, training=2000, test=500)
        with harness.Server(folder / "data", {"small": data}) as server:
            job = server.start_job("figures", preset=flags.preset, model_name="figures", epochs=1)
            server.wait_job(job, "COMPLETED")
        with Pinned(folder / "one", folder / "data", first) as one, \
                Pinned(folder / "two", folder / "data", second) as two:
            figures = {1: [], 2: []}
            for _ in range(flags.rounds):
                for count in figures:
                    figures[count].append(bench([one, two][:count], flags))
                print("  ".join(f"{count}: {made[-1]:8.0f} images/s" for count, made in figures.items()),
                      flush=True)
    medians = {count: statistics.median(made) for count, made in figures.items()}
    ratio = medians[2] / medians[1]
    print(f"medians {medians[1]:.0f} and {medians[2]:.0f} images/s: {ratio:.2f} times, "
          f"at least {PROMISE} is promised")
    return 0 if ratio >= PROMISE else 1


if __name__ == "__main__":
    sys.exit(main())
