#!/usr/bin/python3
"""What one would write without Atelier: a Python gRPC server that runs model.pt with stock PyTorch.

    tests/bench/plain_server.py --model=model.tar.gz [--threads=N] [--workers=N]

Answers Classify for raw pixels, and as much of GetModel as `atelier bench classify` asks for. Prints
its address when it is ready. The peer of tests/bench/serving_figures.py.
"""
import argparse
import concurrent.futures
import io
import json
import pathlib
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import grpc  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402

import harness  # noqa: E402

VERSION = "models/plain/versions/1"


class Inference(harness.stubs("inference_service").InferenceServiceServicer):
    def __init__(self, module, class_names, shape):
        self.module, self.class_names, self.shape = module, class_names, shape

    @torch.inference_mode()
    def Classify(self, request, context):
        pixels = numpy.frombuffer(request.raw.pixels, numpy.uint8).reshape(-1, *self.shape)
        probabilities = self.module(torch.from_numpy(pixels.astype(numpy.float32) / 255))
        values, indices = probabilities.topk(max(1, request.top_k))
        answer = harness.inference_pb.ClassifyResponse(model_version=VERSION)
        for row, columns in zip(values.tolist(), indices.tolist()):
            classes = answer.classifications.add().classes
            for probability, index in zip(row, columns):
                classes.add(index=index, name=self.class_names[index], probability=probability)
        return answer


class Models(harness.stubs("model_service").ModelServiceServicer):
    def __init__(self, shape):
        self.shape = shape

    def GetModel(self, request, context):
        channels, height, width = self.shape
        return harness.model_pb.Model(
            name="models/plain", version_count=1,
            aliases=[harness.model_pb.ModelAlias(alias="latest", version=1)],
            versions=[harness.model_pb.ModelVersion(
                name=VERSION, version=1, image_shape=harness.model_pb.ImageShape(
                    channels=channels, height=height, width=width))])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="a model.tar.gz")
    parser.add_argument("--threads", type=int, default=0, help="PyTorch's; 0 leaves its default")
    parser.add_argument("--workers", type=int, default=10, help="threads that answer calls")
    flags = parser.parse_args()
    if flags.threads:
        torch.set_num_threads(flags.threads)
    with tarfile.open(flags.model) as archive:
        module = torch.jit.load(io.BytesIO(archive.extractfile("model.pt").read())).eval()
        class_names = json.load(archive.extractfile("class_names.json"))
        network = json.load(archive.extractfile("metadata.json"))["architecture"]["input"]
    shape = (network["channels"], network["height"], network["width"])
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(flags.workers))
    harness.stubs("inference_service").add_InferenceServiceServicer_to_server(
        Inference(module, class_names, shape), server)
    harness.stubs("model_service").add_ModelServiceServicer_to_server(Models(shape), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
