#!/usr/bin/python3
"""How much sooner a sweep is done on two nodes of a Slurm cluster than on one.

    tests/bench/sweep_figures.py [--preset=cnn-1] [--seeds=6] [--epochs=20] [--rounds=3] [--json]

Starts a cluster of two nodes on this machine, which tests/beyond/slurm_cluster.py describes. Each trial asks for
most of a node's memory and trains on one core, so that a node is a core here. In turn: with one node drained, and
with both.
"""
import argparse
import os
import pathlib
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "beyond")]

import harness  # noqa: E402
import slurm_cluster  # noqa: E402
from report import Report  # noqa: E402


def sweep(server, flags):
    """Seconds until the sweep's table is complete."""
    begin = time.monotonic()
    server.run("sweep", f"--preset={flags.preset}", "--dataset=small", f"--seeds={flags.seeds}",
               f"--epochs={flags.epochs}", f"--patience={flags.epochs}", "--cores=1", "--memory=9GiB",
               check=harness.DONE, timeout=3600)
    return time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="cnn-1")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    flags = parser.parse_args()
    if reason := slurm_cluster.why_not():
        sys.exit(f"sweep_figures.py: {reason}")
    report = Report(flags.json)
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as folder:
        folder = pathlib.Path(folder)
        small = harness.make_subset(folder, training=4000, test=500)
        with slurm_cluster.Cluster(folder / "slurm") as cluster:
            os.environ["SLURM_CONF"] = cluster.environment["SLURM_CONF"]
            [port] = harness.free_ports(1)
            with harness.Server(folder / "data", {"small": small}, [
                    "--executor=slurm", f"--worker_listen=127.0.0.1:{port}", "--slurm_partition=train"]) as server:
                one, two = [], []
                for _ in range(flags.rounds):
                    cluster.command("scontrol", "update", "NodeName=n2", "State=DRAIN", "Reason=figures", check=True)
                    one.append(sweep(server, flags))
                    cluster.command("scontrol", "update", "NodeName=n2", "State=RESUME", check=True)
                    two.append(sweep(server, flags))
    report.add("a sweep on one node", one, "s")
    report.add("a sweep on two nodes", two, "s")
    report.add("times as fast", [before / after for before, after in zip(one, two)], "")


if __name__ == "__main__":
    main()
