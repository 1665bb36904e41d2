#!/usr/bin/python3
"""What a user would write instead of Atelier: a network of docs/networks in stock PyTorch.

The study's recipe (Adam 0.001, batch 128, dropout 0.3). Trains for some seconds and prints images per
second as one JSON object; with --epochs, trains and validates whole epochs with early stopping and
prints what came out. --mode has what users do to be faster, with commas: memory (batches are picked from
a tensor, in place of a DataLoader), channels-last, fused (Adam), bfloat16 (autocast), compile.
"""
import argparse
import gzip
import json
import os
import pathlib
import sys
import time

import numpy
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))
import torch_networks  # noqa: E402

MODES = ["memory", "channels-last", "fused", "bfloat16", "compile"]


def read_idx(path, header):
    with gzip.open(path) as file:
        return numpy.frombuffer(file.read(), numpy.uint8)[header:]


def load(folder, split):
    pixels = read_idx(os.path.join(folder, f"{split}-images-idx3-ubyte.gz"), 16)
    labels = read_idx(os.path.join(folder, f"{split}-labels-idx1-ubyte.gz"), 8)
    images = torch.tensor(pixels.reshape(-1, 1, 28, 28).astype("float32") / 255)
    return images, torch.tensor(labels.astype("int64"))


def draw(shape, count):
    generator = torch.Generator().manual_seed(1)
    return (torch.rand(count, *shape, generator=generator),
            torch.randint(10, (count,), generator=generator))


def read_network(path, shape):
    """Its batch norms are as PyTorch has them by default."""
    with open(path, encoding="utf-8") as file:
        layers = json.load(file)["layers"]
    network = torch_networks.Builder(shape).network(layers, 10)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum, module.eps = 0.1, 1e-5
    return network


class Training:
    def __init__(self, network, images, labels, mode):
        self.mode = mode
        self.images, self.labels = images, labels
        self.layout = torch.channels_last if "channels-last" in mode else torch.contiguous_format
        self.network = network.to(memory_format=self.layout)
        self.run = torch.compile(self.network) if "compile" in mode else self.network
        self.optimizer = torch.optim.Adam(self.network.parameters(), 1e-3,
                                          **({"fused": True} if "fused" in mode else {}))

    def batches(self):
        """One epoch."""
        if "memory" not in self.mode:
            yield from DataLoader(TensorDataset(self.images, self.labels), batch_size=128, shuffle=True)
            return
        for picked in torch.randperm(len(self.images)).split(128):
            yield self.images[picked], self.labels[picked]

    def epoch(self):
        """Yields the images of each step."""
        self.network.train()
        for images, labels in self.batches():
            self.optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled="bfloat16" in self.mode):
                logits = self.run(images.contiguous(memory_format=self.layout))
                loss = nn.functional.cross_entropy(logits, labels)
            loss.backward()
            self.optimizer.step()
            yield len(images)

    def steps(self):
        while True:
            yield from self.epoch()


def score(network, images, labels):
    network.eval()
    loss = right = 0
    with torch.no_grad():
        for begin in range(0, len(images), 500):
            logits = network(images[begin:begin + 500])
            wanted = labels[begin:begin + 500]
            loss += nn.functional.cross_entropy(logits, wanted, reduction="sum").item()
            right += (logits.argmax(1) == wanted).sum().item()
    return loss / len(images), right / len(images)


def time_steps(training, warmup, seconds):
    steps = training.steps()
    for _ in range(warmup):
        next(steps)
    images, begin, cpu_begin = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - begin < seconds:
        images += next(steps)
    return {"images_per_s": images / (time.perf_counter() - begin),
            "images_per_cpu_s": images / (time.process_time() - cpu_begin)}


def run_study(training, epochs, held_back, test):
    begin = time.perf_counter()
    best, best_epoch, result = float("inf"), 0, (0, 0)
    for epoch in range(1, epochs + 1):
        for _ in training.epoch():
            pass
        loss, _ = score(training.network, *held_back)
        if loss < best:
            best, best_epoch, result = loss, epoch, score(training.network, *test)
        if epoch - best_epoch >= 5:
            break
    return {"seconds": time.perf_counter() - begin, "epochs": epoch, "best_epoch": best_epoch,
            "test_loss": result[0], "test_accuracy": result[1]}


def words(text):
    chosen = [word for word in text.split(",") if word]
    if not set(chosen) <= set(MODES):
        raise argparse.ArgumentTypeError(f"{text}: words are {', '.join(MODES)}")
    return chosen


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", required=True, help="file, as `atelier train --network` reads it")
    parser.add_argument("--images", help="as 3x32x32: random images, in place of --dataset")
    parser.add_argument("--dataset", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--mode", type=words, default=[])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--warmup-steps", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--epochs", type=int, default=0, help="whole training in place of seconds")
    parser.add_argument("--seed", type=int, default=1)
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    torch.manual_seed(flags.seed)

    if flags.images:
        images, labels = draw([int(size) for size in flags.images.split("x")], 8192)
    else:
        images, labels = load(flags.dataset, "train")
    order = torch.randperm(len(images))
    held_back, kept = order[:len(order) // 10], order[len(order) // 10:]
    training = Training(read_network(flags.network, images.shape[1:]), images[kept], labels[kept], flags.mode)
    result = {"version": torch.__version__, "threads": flags.threads}
    if flags.epochs > 0:
        result.update(run_study(training, flags.epochs, (images[held_back], labels[held_back]),
                                load(flags.dataset, "t10k")))
    else:
        result.update(time_steps(training, flags.warmup_steps, flags.seconds))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
