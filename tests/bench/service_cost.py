"""What training through the service costs over the trainer called directly, in turn, as JSON.

    tests/bench/service_cost.py [--preset=cnn-3] [--epochs=2] [--rounds=5]

Both run the same epochs with validation, from the first step's end to the last epoch's; through the
service one client watches the job and checkpoints are written.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import harness  # noqa: E402

CORES = len(os.sched_getaffinity(0))


def direct(arguments):
    printed = subprocess.check_output([
        harness.BIN / "train_bench", f"--preset={arguments.preset}", f"--threads={CORES}",
        f"--shards={CORES}", "--seed=7", f"--epochs={arguments.epochs}", "--json"])
    return json.loads(printed)["epochs_seconds"]


def through_service(server, arguments):
    job = server.start_job("cost", preset=arguments.preset, dataset="fashion-mnist",
                           epochs=arguments.epochs, patience=arguments.epochs, cores=CORES, shards=CORES,
                           seed=7)
    first = last = None
    for event in server.training.StreamMetrics(harness.training_pb.StreamMetricsRequest(name=job)):
        seconds = event.time.ToNanoseconds() / 1e9
        if event.WhichOneof("event") == "step" and first is None:
            first = seconds
        if event.WhichOneof("event") == "epoch":
            last = seconds
    return last - first


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="cnn-3")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    seconds = {"direct": [], "service": []}
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as folder:
        with harness.Server(pathlib.Path(folder) / "data") as server:
            for _ in range(arguments.rounds):
                seconds["direct"].append(direct(arguments))
                seconds["service"].append(through_service(server, arguments))
    ratios = sorted(s / d for s, d in zip(seconds["service"], seconds["direct"]))
    print(json.dumps({"preset": arguments.preset, "epochs": arguments.epochs, **seconds,
                      "ratio_median": statistics.median(ratios),
                      "ratio_min": ratios[0], "ratio_max": ratios[-1]}))


if __name__ == "__main__":
    main()
