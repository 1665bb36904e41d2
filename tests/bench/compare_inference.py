#!/usr/bin/python3
"""Atelier's engine over ONNX Runtime on the model's own model.onnx, on this machine, side by side.

    tests/bench/compare_with_onnxruntime.py --model=model.tar.gz [--rounds=5] [--json]

Runs npm's onnxruntime-node (into build/onnxruntime, once) and engine_bench in turn, some rounds, each
on one thread, and prints the time per image by batch size and the ratio of the two: median, smallest
and largest over the rounds. A round's two runs follow each other, so that what else the machine does
hits both alike. Where onnxruntime-node cannot be installed it says SKIPPED.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BATCHES = ["1", "8", "32"]
PEER = "onnxruntime-node@1.30.0"


def install_peer(folder):
    """Where node finds the peer's modules, or why there is none."""
    modules = folder / "node_modules"
    if (modules / "onnxruntime-node").is_dir():
        return modules, None
    if not shutil.which("npm") or not shutil.which("node"):
        return None, "there is no npm; install Debian's npm"
    folder.mkdir(parents=True, exist_ok=True)
    # Its scripts would fetch the libraries for GPUs.
    done = subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund",
                           f"--prefix={folder}", PEER], capture_output=True, text=True)
    if done.returncode != 0:
        return None, f"npm cannot install {PEER}: {done.stderr.strip().splitlines()[-1:]}"
    return modules, None


def run(command, **options):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True,
                                     **options).stdout)


def compare(flags, onnx, modules):
    environment = {**os.environ, "NODE_PATH": str(modules)}
    ours, theirs, version = [], [], None
    for _ in range(flags.rounds):
        peer = run(["node", str(HERE / "onnxruntime_bench.js"), str(onnx), str(flags.seconds),
                    *BATCHES], env=environment)
        version = peer["version"]
        theirs.append(peer["microseconds_per_image"])
        ours.append(run([flags.engine_bench, f"--model={flags.model}", "--threads=1",
                         f"--batches={','.join(BATCHES)}", f"--seconds={flags.seconds}",
                         "--json"])["microseconds_per_image"])
    batches = {}
    for batch in BATCHES:
        ratios = [peer[batch] / mine[batch] for mine, peer in zip(ours, theirs)]
        batches[batch] = {
            "atelier_us": statistics.median(mine[batch] for mine in ours),
            "onnxruntime_us": statistics.median(peer[batch] for peer in theirs),
            "ratio": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios)}
    return {"onnxruntime": version, "rounds": flags.rounds, "batches": batches}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="a model.tar.gz")
    parser.add_argument("--engine-bench", default=str(ROOT / "build/release/bin/engine_bench"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each batch size")
    parser.add_argument("--peer-dir", type=pathlib.Path, default=ROOT / "build" / "onnxruntime")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    flags = parser.parse_args()
    if flags.rounds < 1:
        parser.error("--rounds must be at least 1")
    if not os.access(flags.engine_bench, os.X_OK):
        parser.error(f"there is no program {flags.engine_bench}; build engine_bench first")
    modules, reason = install_peer(flags.peer_dir)
    if modules is None:
        print(json.dumps({"skipped": reason}) if flags.json else f"SKIPPED: {reason}")
        return
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as folder:
        onnx = pathlib.Path(folder) / "model.onnx"
        with tarfile.open(flags.model) as archive:
            onnx.write_bytes(archive.extractfile("model.onnx").read())
        result = compare(flags, onnx, modules)
    if flags.json:
        print(json.dumps(result))
        return
    print(f"{'batch':>5}{'Atelier':>12}{'ONNX Runtime ' + result['onnxruntime']:>24}{'ratio':>8}{'spread':>16}")
    for batch, figures in result["batches"].items():
        spread = f"{figures['ratio_min']:.2f} to {figures['ratio_max']:.2f}"
        print(f"{batch:>5}{figures['atelier_us']:9.1f} µs{figures['onnxruntime_us']:21.1f} µs"
              f"{figures['ratio']:8.2f}{spread:>16}")


if __name__ == "__main__":
    try:
        main()
    except (KeyError, OSError, tarfile.TarError) as error:
        sys.exit(f"compare_with_onnxruntime.py: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(map(str, error.cmd))} failed:\n{error.stderr}")
