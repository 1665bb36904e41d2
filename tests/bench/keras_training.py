#!/usr/bin/env python3
"""A network of docs/networks in Keras on TensorFlow, the published study's own framework.

The study's recipe (Adam 0.001, batch 128, dropout 0.3) by `fit`. Trains for some seconds on random
images and prints images per second as one JSON object. Knows the layers that the presets have.
"""
import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras  # noqa: E402
import numpy  # noqa: E402
import tensorflow  # noqa: E402
from keras import layers as kind  # noqa: E402

BATCH = 128


def apply(layer, x):
    """The output of a layer of `atelier.v1.Network` as JSON."""
    (name, fields), = layer.items()
    if name == "convolution":
        return kind.Conv2D(fields["filters"], fields.get("kernel", 3), padding="same")(x)
    if name == "batch_norm":
        return kind.BatchNormalization()(x)
    if name == "activation":
        return kind.Activation(fields.removeprefix("ACTIVATION_").lower())(x)
    if name == "max_pooling":
        return kind.MaxPooling2D(fields.get("size", 2))(x)
    if name == "global_pooling" and fields == "GLOBAL_POOLING_AVERAGE":
        return kind.GlobalAveragePooling2D()(x)
    if name == "dropout":
        return kind.Dropout(fields.get("rate", 0.3))(x)
    if name == "dense":
        return kind.Dense(fields["units"])(flat(x))
    if name == "residual":
        y = apply_all(fields["layers"], x)
        return kind.Add()([y, x if y.shape == x.shape else kind.Conv2D(y.shape[-1], 1)(x)])
    if name == "flatten":
        return flat(x)
    raise SystemExit(f"keras_training.py does not know the layer {name}: {fields}")


def apply_all(layers, x):
    for layer in layers:
        x = apply(layer, x)
    return x


def flat(x):
    return x if len(x.shape) == 2 else kind.Flatten()(x)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", required=True, help="file, as `atelier train --network` reads it")
    parser.add_argument("--images", default="1x28x28")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, default=4)
    flags = parser.parse_args()
    tensorflow.config.threading.set_intra_op_parallelism_threads(flags.threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(flags.threads)
    keras.utils.set_random_seed(1)
    channels, height, width = (int(size) for size in flags.images.split("x"))
    with open(flags.network, encoding="utf-8") as file:
        layers = json.load(file)["layers"]
    inputs = kind.Input((height, width, channels))
    outputs = kind.Dense(10, activation="softmax")(flat(apply_all(layers, inputs)))
    model = keras.Model(inputs, outputs)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="sparse_categorical_crossentropy")

    draw = numpy.random.default_rng(1)
    images = draw.random((64 * BATCH, height, width, channels), numpy.float32)
    labels = draw.integers(0, 10, len(images))

    def fit(count):
        wall, cpu = time.perf_counter(), time.process_time()
        model.fit(images[:count], labels[:count], batch_size=BATCH, verbose=0)
        return time.perf_counter() - wall, time.process_time() - cpu

    fit(4 * BATCH)
    wall = cpu = count = 0
    piece = 8 * BATCH
    while wall < flags.seconds:
        took = fit(piece)
        wall, cpu, count = wall + took[0], cpu + took[1], count + piece
        if took[0] < flags.seconds / 8:
            piece = min(2 * piece, len(images))
    print(json.dumps({"version": f"{keras.__version__}, TensorFlow {tensorflow.__version__}",
                      "images_per_s": count / wall, "images_per_cpu_s": count / cpu}))


if __name__ == "__main__":
    main()
