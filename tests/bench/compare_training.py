#!/usr/bin/python3
"""Training speed of Atelier over stock PyTorch's, on this machine, side by side.

Runs stock_training.py and train_bench in turn, some rounds for every network, and prints the ratio
of their images per second: median, smallest and largest over the rounds. A round's two runs follow
each other, so that what else the machine does hits both alike. On a machine that others use too,
look at the ratio by processor time, with --threads=1: with more, stock PyTorch's threads spend
theirs waiting for one another. --networks takes files as `atelier train --network` does, each with the
shape of random images behind a colon.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PRESETS = ["dense", "cnn-1", "cnn-2", "cnn-3", "cnn-3-pooled"]
# (stock, ours): long enough to be steady, short enough for many rounds.
STEPS = {"dense": (300, 3000), "cnn-1": (40, 300)}


def measure(command):
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = json.loads(output)
    return result["images_per_s"], result["images_per_cpu_s"]


def chosen(network):
    """The options of both programs for a preset or FILE:SHAPE."""
    if ":" not in network:
        return ["--preset", network]
    path, shape = network.rsplit(":", 1)
    return ["--network", path, "--images", shape]


def compare(preset, flags):
    stock_steps, our_steps = STEPS.get(preset, (25, 150))
    threads = str(flags.threads)
    stock, ours = [], []
    for _ in range(flags.rounds):
        stock.append(measure([
            "/usr/bin/python3", os.path.join(HERE, "stock_training.py"), *chosen(preset),
            "--threads", threads, "--steps", str(stock_steps)]))
        ours.append(measure([
            flags.train_bench, *chosen(preset), f"--threads={threads}",
            f"--precision={flags.precision}", f"--steps={our_steps}", "--json"]))
    ratios = [mine[0] / theirs[0] for mine, theirs in zip(ours, stock)]
    cpu_ratios = [mine[1] / theirs[1] for mine, theirs in zip(ours, stock)]
    return {
        "preset": preset, "precision": flags.precision, "threads": flags.threads,
        "rounds": flags.rounds,
        "stock_images_per_s": statistics.median(speed[0] for speed in stock),
        "our_images_per_s": statistics.median(speed[0] for speed in ours),
        "ratio": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios),
        "cpu_ratio": statistics.median(cpu_ratios), "cpu_ratio_min": min(cpu_ratios),
        "cpu_ratio_max": max(cpu_ratios),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train-bench", default="build/release/bin/train_bench")
    parser.add_argument("--presets", default=",".join(PRESETS))
    parser.add_argument("--networks", help="in place of --presets, with commas, as FILE:3x32x32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--json", action="store_true", help="one JSON object a network")
    flags = parser.parse_args()
    if flags.rounds < 1:
        parser.error("--rounds must be at least 1")
    if not os.access(flags.train_bench, os.X_OK):
        parser.error(f"there is no program {flags.train_bench}; build train_bench first")
    for preset in flags.presets.split(","):
        if preset not in PRESETS:
            parser.error(f"there is no preset {preset}; presets are {', '.join(PRESETS)}")
    if not flags.json:
        print(f"{'network':26}{'stock':>10}{'ours':>10}{'ratio':>8}{'spread':>16}{'by cpu':>8}   images/s")
    for preset in (flags.networks or flags.presets).split(","):
        result = compare(preset, flags)
        if flags.json:
            print(json.dumps(result), flush=True)
            continue
        spread = f"{result['ratio_min']:.2f} to {result['ratio_max']:.2f}"
        print(f"{os.path.basename(preset):26}{result['stock_images_per_s']:10.0f}{result['our_images_per_s']:10.0f}"
              f"{result['ratio']:8.2f}{spread:>16}"
              f"{result['cpu_ratio']:8.2f}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(error.cmd)} failed:\n{error.stderr}")
