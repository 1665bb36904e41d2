#!/usr/bin/python3
"""The fine-tuning figures of docs/study.md: a network trained on Fashion-MNIST, carried over to letters,
beside the same network from scratch, for equal epochs.

    tests/bench/fine_tuning.py [--pretrain-epochs=4] [--epochs=1,2,4] [--seeds=5] [--training=4000]

Renders the letters (tests/glyphs.py), starts a server of its own, trains everything with the recipes
`best` (on clothes) and `study` (on letters), and prints the table: mean ± standard deviation of the test
accuracy over the seeds, and the difference in standard errors.
"""
import argparse
import json
import math
import pathlib
import statistics
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import glyphs  # noqa: E402
import harness  # noqa: E402

NETWORK = "cnn-2"
FROM = "models/clothes/versions/1"
# The label in the table, and what the specification says of the start.
STARTS = [("from scratch", {}), ("fine-tuned", {"start_from": FROM}),
          ("fine-tuned, convolutions frozen", {"start_from": FROM, "freeze": 2})]

experiment_pb = harness.proto("experiment_service")


def pretrain(server, epochs):
    """Test accuracy of the model of clothes."""
    name = server.training.StartTraining(harness.training_pb.StartTrainingRequest(
        spec=harness.job_pb.TrainingSpec(
            preset=NETWORK, recipe=harness.job_pb.RECIPE_BEST, epochs=epochs, patience=epochs,
            seed=1, model_name="clothes"))).name
    return server.wait_job(name, "COMPLETED", timeout=3600).result.test_accuracy


def sweep(server, flags, start):
    """Test accuracies by the number of epochs."""
    stub = harness.stubs("experiment_service").ExperimentServiceStub(server.channel)
    name = stub.StartExperiment(experiment_pb.StartExperimentRequest(
        base_name="letters", seeds=range(1, flags.seeds + 1),
        configurations=[harness.job_pb.TrainingSpec(
            preset=NETWORK, dataset="letters", epochs=int(epochs), patience=100, **start)
            for epochs in flags.epochs.split(",")])).name

    def ended():
        now = stub.GetExperiment(experiment_pb.GetExperimentRequest(name=name))
        return now if now.state == experiment_pb.EXPERIMENT_STATE_COMPLETED else None

    experiment = harness.wait_for(ended, 3600, f"{name} to end")
    found = {}
    for run in experiment.runs:
        epochs = experiment.configurations[run.configuration].epochs
        found.setdefault(epochs, []).append(run.result.test_accuracy)
    return found


def verdict(sample, scratch):
    error = math.sqrt((statistics.variance(sample) + statistics.variance(scratch)) / len(sample))
    difference = statistics.mean(sample) - statistics.mean(scratch)
    return f"{100 * difference:+.2f} ± {100 * error:.2f}"


def print_table(results):
    scratch = results[STARTS[0][0]]
    print("| epochs | start | test accuracy | difference ± standard error |\n|---|---|---|---|")
    for epochs in sorted(scratch):
        for label, found in results.items():
            sample = found[epochs]
            text = f"{100 * statistics.mean(sample):.2f} % ± {100 * statistics.stdev(sample):.2f}"
            beside = "–" if found is scratch else verdict(sample, scratch[epochs])
            print(f"| {epochs} | {label} | {text} | {beside} |")


def main():
    parser = argparse.ArgumentParser(description="Fine-tuning against training from scratch.")
    parser.add_argument("--pretrain-epochs", type=int, default=4)
    parser.add_argument("--epochs", default="1,2,4")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--training", type=int, default=4000)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        letters = glyphs.make_glyphs(pathlib.Path(folder) / "letters", training=flags.training)
        with harness.Server(pathlib.Path(folder) / "data", {"letters": letters}) as server:
            print(json.dumps({"pretrained": pretrain(server, flags.pretrain_epochs)}), flush=True)
            print_table({label: sweep(server, flags, start) for label, start in STARTS})


if __name__ == "__main__":
    main()
