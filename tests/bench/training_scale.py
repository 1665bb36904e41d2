#!/usr/bin/python3
"""How training speed grows with cores and falls with batch size, image size and number of classes, on this
machine: the tables of docs/performance.md.

    tests/bench/training_scale.py [--network=cnn-3-pooled] [--rounds=5] [--only=cores,batch,size,classes]

Every table changes one thing of a training of random images of 3×32×32 with ten classes in batches of 128 on
all cores. Its rows are measured in turn in every round, so that what else the machine does hits all alike; a
ratio is over the row above it in the same round.
"""
import argparse
import os
import statistics
import subprocess
import sys

import compare_training
import peers

CORES = sorted(os.sched_getaffinity(0))
# Name: (heading, {row: options of train_bench, and the cores it may use}).
TABLES = {
    "cores": ("cores", {str(n): ([f"--threads={n}"], CORES[:n])
                        for n in sorted({1, len(CORES) // 2, len(CORES)}) if n > 0}),
    "batch": ("images a batch", {str(n): ([f"--batch_size={n}"], CORES) for n in (16, 32, 64, 128, 256, 512)}),
    "size": ("image", {f"3×{n}×{n}": ([f"--images=3x{n}x{n}"], CORES) for n in (16, 32, 64, 128)}),
    "classes": ("classes", {str(n): ([f"--classes={n}"], CORES) for n in (10, 100, 1000)}),
}


def run(command, cores, options, seconds):
    """train_bench's figures, measured for about that long."""
    command = ["taskset", "-c", ",".join(map(str, cores)), *command, *options, "--json"]
    rate = compare_training.run([*command, "--warmup_steps=2", "--steps=3"])
    steps = max(5, round(seconds * rate["images_per_s"] / rate["batch_size"]))
    return compare_training.run([*command, f"--steps={steps}"])


def measure(flags, name):
    heading, rows = TABLES[name]
    command = [flags.train_bench, *compare_training.chosen(flags.network), "--images=3x32x32"]
    speeds, cpu_speeds = {row: [] for row in rows}, {row: [] for row in rows}
    for _ in range(flags.rounds):
        for row, (options, cores) in rows.items():
            figures = run(command, cores, options, flags.seconds)
            speeds[row].append(figures["images_per_s"])
            cpu_speeds[row].append(figures["images_per_cpu_s"])
    print(f"| {heading} | images/s | images per second of processor time | over the row above | "
          "smallest to largest |\n|---|---|---|---|---|")
    above = None
    for row in rows:
        cells = [row, f"{statistics.median(speeds[row]):,.0f}", f"{statistics.median(cpu_speeds[row]):,.0f}"]
        if above:
            ratios = [mine / other for mine, other in zip(speeds[row], speeds[above])]
            cells += [f"{statistics.median(ratios):.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}"]
        else:
            cells += ["", ""]
        print("| " + " | ".join(cells) + " |", flush=True)
        above = row
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train-bench", default=str(peers.ROOT / "build/release/bin/train_bench"))
    parser.add_argument("--network", default="cnn-3-pooled", help="of docs/networks, or a file")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="of a run, without its start")
    parser.add_argument("--only", default=",".join(TABLES), help=f"some of {', '.join(TABLES)}")
    flags = parser.parse_args()
    names = flags.only.split(",")
    if flags.rounds < 1:
        parser.error("--rounds must be at least 1")
    if not set(names) <= set(TABLES):
        parser.error(f"--only {flags.only}: tables are {', '.join(TABLES)}")
    if not os.access(flags.train_bench, os.X_OK):
        parser.error(f"there is no program {flags.train_bench}; build train_bench first")
    for name in names:
        measure(flags, name)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(map(str, error.cmd))} failed:\n{error.stderr}")
