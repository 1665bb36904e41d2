#!/usr/bin/python3
"""What a step costs when several nodes share it, and when that pays.

    tests/bench/nodes_figures.py [--preset=cnn-3] [--batches=128,512] [--links=1000,10000] [--rounds=5] [--json]

Trains one job on one node of one core, on one of two cores, and on two nodes of one core each, in turn: as two
processes over loopback and, as root with iproute2, over links of so many megabits a second between two network
namespaces. A node is a core of this machine, so loopback shows what sharing itself costs, and a link what its
network adds. Steps are from the jobs' own figures, without validation and checkpoints.

A rank receives 4·P·(N-1)/N·(S/N+1) bytes a step, of P parameters, N nodes and S shards: the other ranks'
gradients of its slice, and their slices' sums. So a step over a link should take as long as over loopback plus
the time of these bytes; the last column has what was measured over that.
"""
import argparse
import contextlib
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import harness  # noqa: E402
import report  # noqa: E402

IMAGES = 10_000
NETWORK = "10.87.0.0/24"
SPACES = ("atelier-node-0", "atelier-node-1")
WRAPPER = f"""#!/bin/sh
# Two nodes in two network namespaces, as an engine would start them.
case " $* " in *" --ranks=2 "*) ;; *) exec WORKER "$@" ;; esac
ip netns exec {SPACES[1]} env SLURM_PROCID=1 WORKER "$@" --rank_network={NETWORK} &
exec ip netns exec {SPACES[0]} env SLURM_PROCID=0 WORKER "$@" --rank_network={NETWORK}
"""


def ip(*arguments):
    subprocess.run(arguments, check=True, capture_output=True)


@contextlib.contextmanager
def link(megabits):
    """Two namespaces with a link of that speed between them."""
    try:
        for space in SPACES:
            ip("ip", "netns", "add", space)
        ip("ip", "link", "add", "node", "netns", SPACES[0], "type", "veth", "peer", "name", "node",
           "netns", SPACES[1])
        for number, space in enumerate(SPACES):
            ip("ip", "-n", space, "addr", "add", f"10.87.0.{number + 1}/24", "dev", "node")
            ip("ip", "-n", space, "link", "set", "node", "up")
            ip("tc", "-n", space, "qdisc", "add", "dev", "node", "root", "tbf", "rate", f"{megabits}mbit",
               "burst", f"{max(64, megabits // 8)}kb", "latency", "100ms")
        yield
    finally:
        for space in SPACES:
            subprocess.run(["ip", "netns", "del", space], capture_output=True)


def train(server, flags, batch, nodes, cores):
    """Milliseconds of a step, and the network's parameters."""
    job = server.wait_job(server.start_job(
        preset=flags.preset, epochs=3, patience=3, batch_size=batch, shards=2, nodes=nodes, cores=cores,
        precision=harness.job_pb.PRECISION_FLOAT32), "COMPLETED")
    epochs = harness.kinds(server.events(job.name), "epoch")
    return 1000 * batch / max(epoch.images_per_second for epoch in epochs), job.result.trainable_parameter_count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", default="cnn-3")
    parser.add_argument("--batches", default="128,512")
    parser.add_argument("--links", default="1000,10000", help="in Mbit/s; empty: loopback alone")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    flags = parser.parse_args()
    links = [int(megabits) for megabits in flags.links.split(",") if megabits]
    if links and (os.geteuid() != 0 or not shutil.which("tc")):
        print("links: SKIPPED, they need root and iproute2")
        links = []
    out = report.Report(flags.json)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        data = {"small": harness.make_subset(folder, training=IMAGES, test=100)}
        wrapper = folder / "worker.sh"
        wrapper.write_text(WRAPPER.replace("WORKER", str(harness.BIN / "atelier-worker")))
        wrapper.chmod(0o755)
        common = ["--workers=2", "--threads_per_worker=1"]
        with harness.Server(folder / "one", data, flags=common) as here, \
                harness.Server(folder / "two", data,
                               flags=[*common, f"--worker_binary={wrapper}", "--worker_sandbox=off"]) as apart:
            for batch in map(int, flags.batches.split(",")):
                figures = {}
                for _ in range(flags.rounds):
                    for name, nodes, cores in (("1 node of 1 core", 1, 1), ("1 node of 2 cores", 1, 2),
                                               ("2 nodes over loopback", 2, 1)):
                        step, parameters = train(here, flags, batch, nodes, cores)
                        figures.setdefault(name, []).append(step)
                    for megabits in links:
                        with link(megabits):
                            step, _ = train(apart, flags, batch, 2, 1)
                        figures.setdefault(f"2 nodes over {megabits} Mbit/s", []).append(step)
                one, loopback = figures["1 node of 1 core"], figures["2 nodes over loopback"]
                for name, steps in figures.items():
                    out.add(f"batch {batch}, {name}", steps, "ms/step")
                    out.add("  times one node of one core", [a / b for a, b in zip(one, steps)], "×")
                for megabits in links:
                    sent = 8 * 4 * parameters / 2 * 2 / (megabits * 1000)
                    out.add(f"  {megabits} Mbit/s over its model",
                            [a / (b + sent) for a, b in zip(figures[f"2 nodes over {megabits} Mbit/s"], loopback)], "×")


if __name__ == "__main__":
    sys.exit(main())
