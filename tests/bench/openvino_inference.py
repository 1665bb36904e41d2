#!/usr/bin/env python3
"""What OpenVINO takes for an image on one thread, by batch size; prints one JSON object.

    openvino_inference.py MODEL.onnx f32|default SECONDS BATCH…

With f32 it computes in float32, by default in bfloat16 where the processor has it.
"""
import json
import sys
import time

import numpy
import openvino


def measure(request, images, seconds):
    for _ in range(5):
        request.infer([images])
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        request.infer([images])
        count += len(images)
    return (time.perf_counter() - begin) / count * 1e6


def main():
    path, precision, seconds, *batches = sys.argv[1:]
    core = openvino.Core()
    model = core.read_model(path)
    shape = [extent.get_length() for extent in list(model.inputs[0].partial_shape)[1:]]
    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    if precision != "default":
        settings["INFERENCE_PRECISION_HINT"] = precision
    by_batch = {}
    for batch in batches:
        fixed = model.clone()
        fixed.reshape([int(batch), *shape])
        request = core.compile_model(fixed, "CPU", settings).create_infer_request()
        images = numpy.random.default_rng(1).random((int(batch), *shape), numpy.float32)
        by_batch[batch] = measure(request, images, float(seconds))
    print(json.dumps({"version": openvino.__version__.split("-")[0], "microseconds_per_image": by_batch}))


if __name__ == "__main__":
    main()
