#!/usr/bin/python3
"""Atelier's engine over ONNX Runtime and OpenVINO on the model's own model.onnx, on this machine.

    tests/bench/compare_inference.py --model=model.tar.gz [--rounds=5] [--json]

Every round runs engine_bench, npm's onnxruntime-node and PyPI's openvino (in float32 and as it chooses) in
turn, each on one thread, and the time per image is printed by batch size, with the ratio of the round's
fastest peer's to ours: median, smallest and largest. Peers are installed below build/peers, once; one that
cannot be had is SKIPPED.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tarfile
import tempfile

import peers

BATCHES = ["1", "8", "32"]


def run(command, **options):
    return json.loads(subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True,
                                     **options).stdout)


def available(onnx, seconds):
    """{name: (command, options of run)} of the peers that there are."""
    found = {}

    def skipped(name, reason):
        print(f"SKIPPED {name}: {reason}", file=sys.stderr)

    modules, reason = peers.node_modules_with("onnxruntime-node@1.30.0")
    if reason:
        skipped("ONNX Runtime", reason)
    else:
        found["ONNX Runtime"] = (["node", peers.HERE / "onnxruntime_bench.js", onnx, seconds, *BATCHES],
                                 {"env": {**os.environ, "NODE_PATH": str(modules)}})
    python, reason = peers.python_with("openvino", "numpy")
    if reason:
        skipped("OpenVINO", reason)
    for name, precision in (("OpenVINO float32", "f32"), ("OpenVINO default", "default")):
        if not reason:
            found[name] = ([python, peers.HERE / "openvino_inference.py", onnx, precision, seconds, *BATCHES], {})
    return found


def compare(flags, commands):
    ours, theirs, versions = [], {name: [] for name in commands}, {}
    for _ in range(flags.rounds):
        for name, (command, options) in commands.items():
            peer = run(command, **options)
            versions[name] = peer["version"]
            theirs[name].append(peer["microseconds_per_image"])
        ours.append(run([flags.engine_bench, f"--model={flags.model}", "--threads=1",
                         f"--batches={','.join(BATCHES)}", f"--seconds={flags.seconds}",
                         "--json"])["microseconds_per_image"])
    batches = {}
    for batch in BATCHES:
        ratios = [min(peer[round_][batch] for peer in theirs.values()) / mine[batch]
                  for round_, mine in enumerate(ours)]
        batches[batch] = {
            "atelier_us": statistics.median(mine[batch] for mine in ours),
            "peers_us": {name: statistics.median(peer[batch] for peer in rounds)
                         for name, rounds in theirs.items()},
            "ratio": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios)}
    return {"versions": versions, "rounds": flags.rounds, "batches": batches}


def print_table(result):
    heads = ["batch", "Atelier", *(f"{name} ({version})" for name, version in result["versions"].items()),
             "ratio to the fastest", "smallest to largest"]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for batch, figures in result["batches"].items():
        cells = [batch, f"{figures['atelier_us']:.1f} µs",
                 *(f"{peer:.1f} µs" for peer in figures["peers_us"].values()), f"{figures['ratio']:.2f}",
                 f"{figures['ratio_min']:.2f} to {figures['ratio_max']:.2f}"]
        print("| " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="a model.tar.gz")
    parser.add_argument("--engine-bench", default=str(peers.ROOT / "build/release/bin/engine_bench"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each batch size")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    flags = parser.parse_args()
    if flags.rounds < 1:
        parser.error("--rounds must be at least 1")
    if not os.access(flags.engine_bench, os.X_OK):
        parser.error(f"there is no program {flags.engine_bench}; build engine_bench first")
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as folder:
        onnx = pathlib.Path(folder) / "model.onnx"
        with tarfile.open(flags.model) as archive:
            onnx.write_bytes(archive.extractfile("model.onnx").read())
        commands = available(onnx, flags.seconds)
        if not commands:
            sys.exit("SKIPPED: no peer can be had")
        result = compare(flags, commands)
    if flags.json:
        print(json.dumps(result))
    else:
        print_table(result)


if __name__ == "__main__":
    try:
        main()
    except (KeyError, OSError, tarfile.TarError) as error:
        sys.exit(f"compare_inference.py: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(map(str, error.cmd))} failed:\n{error.stderr}")
