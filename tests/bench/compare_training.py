#!/usr/bin/python3
"""Training speed of Atelier over what people would use instead, on this machine: the table of
docs/performance.md.

    tests/bench/compare_training.py [--rounds=5] [--networks=cnn-3,resnet:3x32x32] [--by=cpu --threads=1]

Every round runs train_bench and each peer in turn, so that what else the machine does hits all alike: Debian's
PyTorch in an ordinary loop, current PyTorch as it is and with what makes it fast, Keras on TensorFlow.
A ratio is Atelier's images a second over those of the round's fastest peer; where
--precision names float32 second, that row's is over the fastest peer in float32. On a machine that others use
too, compare by processor time on one thread (--by=cpu --threads=1). Peers of PyPI are installed below
build/peers, once; one that cannot be had is SKIPPED.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

import peers

NETWORKS = ["dense", "cnn-1", "cnn-2", "cnn-3", "cnn-3-pooled", "resnet", "cnn-3-pooled:3x32x32",
            "cnn-3-pooled:3x64x64", "resnet:3x32x32", "resnet:3x64x64"]
FAST = "memory,channels-last,fused"
# Name: (packages of PyPI, None for Debian's python3; program; its options).
PEERS = {
    "Debian's PyTorch": (None, "torch_training.py", []),
    "PyTorch": (["torch", "numpy"], "torch_training.py", []),
    "PyTorch, fast float32": (["torch", "numpy"], "torch_training.py", [f"--mode={FAST}"]),
    "PyTorch, fast bfloat16": (["torch", "numpy"], "torch_training.py", [f"--mode={FAST},bfloat16"]),
    "Keras": (["tensorflow-cpu"], "keras_training.py", []),
}
FIGURE = {"wall": "images_per_s", "cpu": "images_per_cpu_s"}


def run(command):
    return json.loads(subprocess.run(list(map(str, command)), check=True, capture_output=True,
                                     text=True).stdout.splitlines()[-1])


def chosen(network):
    """The options of all programs for NAME or NAME:SHAPE; NAME is a file or one of docs/networks."""
    name, _, shape = network.partition(":")
    path = name if os.path.exists(name) else peers.ROOT / "docs" / "networks" / f"{name}.json"
    if not os.path.exists(path):
        sys.exit(f"there is no network {name}: name one of docs/networks, or a file")
    return [f"--network={path}", *([f"--images={shape}"] if shape else [])]


class Atelier:
    """Trains about as long as the peers: the first run says how many steps that is."""

    def __init__(self, flags, options, precision):
        self.command = [flags.train_bench, *options, f"--threads={flags.threads}",
                        f"--precision={precision}", "--json"]
        first = run([*self.command, "--steps=5"])
        self.precision = first["precision"]
        self.steps = max(5, round(first["images_per_s"] * flags.seconds / 128))

    def run(self):
        return run([*self.command, f"--steps={self.steps}"])


def available(names):
    """{name: command} of the peers that there are."""
    commands = {}
    for name in names:
        packages, program, options = PEERS[name]
        python, reason = (peers.python_with(*packages) if packages else ("/usr/bin/python3", None))
        if reason:
            print(f"SKIPPED {name}: {reason}", file=sys.stderr)
            continue
        commands[name] = [python, peers.HERE / program, *options]
    return commands


def compare(network, commands, flags):
    """A result for each precision of Atelier's that is another."""
    options, figure = chosen(network), FIGURE[flags.by]
    ours = {}
    for precision in flags.precision.split(","):
        atelier = Atelier(flags, options, precision)
        ours.setdefault(atelier.precision, (atelier, []))
    theirs = {name: [] for name in commands}
    for _ in range(flags.rounds):
        for atelier, speeds in ours.values():
            speeds.append(atelier.run()[figure])
        for name, command in commands.items():
            theirs[name].append(run([*command, *options, f"--threads={flags.threads}",
                                     f"--seconds={flags.seconds}"])[figure])
    return [result(network, precision, speeds, theirs, precision != next(iter(ours)), flags)
            for precision, (_, speeds) in ours.items()]


def result(network, precision, ours, theirs, only_float32, flags):
    others = {name: speeds for name, speeds in theirs.items()
              if not only_float32 or "bfloat16" not in name}
    ratios = [mine / max(speeds[i] for speeds in others.values()) for i, mine in enumerate(ours)]
    medians = {name: statistics.median(speeds) for name, speeds in theirs.items()}
    return {"network": network, "precision": precision, "threads": flags.threads, "rounds": flags.rounds,
            "by": flags.by, "atelier": statistics.median(ours), "peers": medians,
            "best": max(others, key=medians.get), "ratio": statistics.median(ratios),
            "ratio_min": min(ratios), "ratio_max": max(ratios)}


def print_row(row):
    cells = [row["network"], f"{row['precision']}", f"{row['atelier']:,.0f}",
             *(f"{speed:,.0f}" for speed in row["peers"].values()),
             f"{row['ratio']:.2f}", f"{row['ratio_min']:.2f} to {row['ratio_max']:.2f}"]
    print("| " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train-bench", default=str(peers.ROOT / "build/release/bin/train_bench"))
    parser.add_argument("--networks", default=",".join(NETWORKS),
                        help="of docs/networks, or files, each with :3x32x32 for random images of that shape")
    parser.add_argument("--peers", default=";".join(PEERS), help="with semicolons: " + "; ".join(PEERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of a run, without its start")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--precision", default="auto,float32", help="of Atelier, one or several")
    parser.add_argument("--by", choices=sorted(FIGURE), default="wall")
    parser.add_argument("--json", action="store_true", help="one JSON object a network")
    flags = parser.parse_args()
    names = [name.strip() for name in flags.peers.split(";")]
    if flags.rounds < 1:
        parser.error("--rounds must be at least 1")
    if not os.access(flags.train_bench, os.X_OK):
        parser.error(f"there is no program {flags.train_bench}; build train_bench first")
    if not set(names) <= set(PEERS):
        parser.error(f"--peers {flags.peers}: peers are {'; '.join(PEERS)}")
    commands = available(names)
    if all("bfloat16" in name for name in commands):
        sys.exit("SKIPPED: no peer in float32 can be had")
    if not flags.json:
        heads = ["network", "precision", "Atelier", *commands, "over the fastest", "smallest to largest"]
        print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for network in flags.networks.split(","):
        for row in compare(network, commands, flags):
            if flags.json:
                print(json.dumps(row), flush=True)
            else:
                print_row(row)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(map(str, error.cmd))} failed:\n{error.stderr}")
