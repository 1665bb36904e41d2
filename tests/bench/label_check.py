#!/usr/bin/python3
"""How many labels that were changed on purpose a check of the data set finds: the figures of
docs/datasets.md.

    tests/bench/label_check.py [--changed=100] [--among=300] [--seeds=1] [--folds=5]

Changes that many labels of Fashion-MNIST's 60,000 training images, chosen by the seed, to another class
each, starts a server of its own, checks the data set and prints, for each seed, how many of them are among
the most suspicious, and the time it took.
"""
import argparse
import pathlib
import sys
import tempfile

import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import harness  # noqa: E402
from idx import read_idx, write_idx  # noqa: E402

LABELS = "train-labels-idx1-ubyte.gz"


def changed_copy(folder, count, seed):
    """Fashion-MNIST with other labels at `count` places; the places."""
    random = numpy.random.default_rng(seed)
    folder.mkdir()
    for file in harness.FASHION_MNIST.glob("*ubyte.gz"):
        if file.name != LABELS:
            (folder / file.name).symlink_to(file)
    labels = read_idx(harness.FASHION_MNIST / LABELS).copy()
    places = random.choice(len(labels), count, replace=False)
    labels[places] = (labels[places] + random.integers(1, 10, count)) % 10
    write_idx(folder / LABELS, labels)
    return set(map(int, places))


def check(server, name, flags, seed):
    job = server.dataset_service.CheckDataset(harness.dataset_pb.CheckDatasetRequest(
        name=f"datasets/{name}", folds=flags.folds, seed=seed))
    ended = server.wait_job(job.name, timeout=3600)
    assert ended.state == harness.job_pb.JOB_STATE_COMPLETED, ended.transitions[-1]
    found = server.training.GetPredictions(harness.training_pb.GetPredictionsRequest(
        name=job.name, page_size=flags.among)).predictions
    return ended.check_result, [each.index for each in found]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("changed", 100), ("among", 300), ("seeds", 1), ("folds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="atelier-labels-") as folder:
        folder = pathlib.Path(folder)
        places = {seed: changed_copy(folder / f"seed-{seed}", flags.changed, seed)
                  for seed in range(1, flags.seeds + 1)}
        datasets = {f"seed-{seed}": folder / f"seed-{seed}" for seed in places}
        with harness.Server(folder / "data", datasets=datasets) as server:
            for seed, changed in places.items():
                result, found = check(server, f"seed-{seed}", flags, seed)
                print(f"seed {seed}: {len(changed.intersection(found))} of {flags.changed} changed labels "
                      f"are among the {len(found)} most suspicious; {result.suspicious_count} suspicious, "
                      f"agreement {100 * result.agreement:.2f} %, {result.seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
