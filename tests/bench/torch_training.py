#!/usr/bin/python3
"""What a user would write instead of Atelier: the study's networks in stock PyTorch.

An ordinary DataLoader loop with the study's recipe (Adam 0.001, batch 128, dropout 0.3), on Debian's
python3-torch. Trains some steps and prints their images per second as one JSON object; with
--epochs, trains and validates whole epochs with early stopping and prints what came out. --network
takes a file as `atelier train --network` does, and --images 3x32x32 draws images of that shape.
"""
import argparse
import gzip
import json
import os
import sys
import time

import numpy
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import torch_networks  # noqa: E402


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


def block(inputs, filters, pool):
    layers = [nn.Conv2d(inputs, filters, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(filters)]
    return layers + ([nn.MaxPool2d(pool)] if pool else [])


def head(inputs, widths):
    layers = [nn.Flatten()]
    for width in widths:
        layers += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(0.3)]
        inputs = width
    return layers + [nn.Linear(inputs, 10)]


NETWORKS = {
    "dense": lambda: head(784, [128, 64]),
    "cnn-1": lambda: block(1, 32, 4) + head(1568, [128]),
    "cnn-2": lambda: block(1, 32, 2) + block(32, 64, 2) + head(3136, [128]),
    "cnn-3": lambda: block(1, 32, 2) + block(32, 64, 2) + block(64, 128, 0) + head(6272, [128]),
    "cnn-3-pooled": lambda: block(1, 32, 2) + block(32, 64, 2) + block(64, 128, 2)
    + head(1152, [128, 64]),
}


def read_network(path, shape):
    """Its batch norms as PyTorch has them by default, like those of NETWORKS."""
    with open(path, encoding="utf-8") as file:
        layers = json.load(file)["layers"]
    network = torch_networks.Builder(shape).network(layers, 10)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    return network


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


def train(network, loader, optimizer, steps):
    """One epoch, or its first `steps` steps; yields the images of each step."""
    network.train()
    for number, (images, labels) in enumerate(loader):
        if number == steps:
            return
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()
        yield len(images)


def time_steps(network, loader, optimizer, warmup, steps):
    images, begin, cpu_begin = 0, 0.0, 0.0
    for number, count in enumerate(train(network, loader, optimizer, warmup + steps)):
        images += count if number >= warmup else 0
        if number == warmup - 1:
            begin, cpu_begin = time.perf_counter(), time.process_time()
    return {"images_per_s": images / (time.perf_counter() - begin),
            "images_per_cpu_s": images / (time.process_time() - cpu_begin)}


def run_study(network, loader, optimizer, epochs, held_back, test):
    begin = time.perf_counter()
    best, best_epoch, result = float("inf"), 0, (0, 0)
    for epoch in range(1, epochs + 1):
        for _ in train(network, loader, optimizer, -1):
            pass
        loss, _ = score(network, *held_back)
        if loss < best:
            best, best_epoch, result = loss, epoch, score(network, *test)
        if epoch - best_epoch >= 5:
            break
    return {"seconds": time.perf_counter() - begin, "epochs": epoch, "best_epoch": best_epoch,
            "test_loss": result[0], "test_accuracy": result[1]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=sorted(NETWORKS), default="cnn-3")
    parser.add_argument("--network", help="file with a network, in place of --preset")
    parser.add_argument("--images", help="as 3x32x32: random images, in place of --dataset")
    parser.add_argument("--dataset", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--warmup-steps", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=0, help="whole training in place of steps")
    parser.add_argument("--seed", type=int, default=1)
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    torch.manual_seed(flags.seed)

    if flags.images:
        images, labels = draw([int(size) for size in flags.images.split("x")], 20_000)
    else:
        images, labels = load(flags.dataset, "train")
    order = torch.randperm(len(images))
    held_back, kept = order[:len(order) // 10], order[len(order) // 10:]
    network = read_network(flags.network, images.shape[1:]) if flags.network else nn.Sequential(
        *NETWORKS[flags.preset]())
    loader = DataLoader(TensorDataset(images[kept], labels[kept]), batch_size=128, shuffle=True)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    result = {"preset": flags.preset, "threads": flags.threads, "torch": torch.__version__}
    if flags.epochs > 0:
        result.update(run_study(network, loader, optimizer, flags.epochs,
                                (images[held_back], labels[held_back]),
                                load(flags.dataset, "t10k")))
    else:
        result.update(time_steps(network, loader, optimizer, flags.warmup_steps, flags.steps))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
