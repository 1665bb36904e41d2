"""Clients that open a stream of the server, read its beginning and then nothing more, in numbers: a job
beside them ends as if they were not there, they cost the server no memory, and it stops in order."""

import importlib
import pathlib
import re

import grpc
import numpy
from google.protobuf import descriptor_pb2

import harness
from harness import job_pb, model_pb, training_pb
from recovery import LONG_SPEC, check_same, wait_epoch

READERS = 40
# Of those that also send: each of them may have up to 64 requests of 200 kB in the server, and sends
# 800.
SENDING_READERS = 4
# What all readers together may cost. Measured, where it stays: some 93 MB for each that sends (64
# requests as they came, as floats and as the engine's input, and what the allocator keeps), and a few
# chunks for each stream, 60 MB together. Downloads that are held whole, 3.6 MB each, would be 288 MB
# more, all requests at least 640 MB.
ALLOWED = 500 << 20

experiment_pb = harness.proto("experiment_service")
open_pb = importlib.import_module("inference.grpc_service_pb2")
open_stubs = importlib.import_module("inference.grpc_service_pb2_grpc")


def streams_of_the_server():
    """The methods of its services that answer with a stream."""
    modules = [harness.proto(n) for n in ("training_service", "model_service", "dataset_service",
                                          "experiment_service", "inference_service",
                                          "monitoring_service")]
    found = set()
    for module in [*modules, open_pb]:
        for service in module.DESCRIPTOR.services_by_name.values():
            proto = descriptor_pb2.ServiceDescriptorProto()
            service.CopyToProto(proto)
            found |= {m.name for m in proto.method if m.server_streaming}
    return found


def infer_forever(pixels):
    request = open_pb.ModelInferRequest(model_name="big")
    tensor = request.inputs.add(name="images", datatype="FP32", shape=[64, 1, 28, 28])
    tensor.contents.fp32_contents.extend(pixels)
    for _ in range(800):
        yield request


def downloads(models):
    return [models.DownloadModel(model_pb.DownloadModelRequest(name="models/big", format=kind))
            for kind in (1, 2, 3)]


def open_streams(channel, job, experiment, sends):
    """A call of each stream of the server, by method; a download in each of its formats. The one that
    also sends only if asked for."""
    training = harness.stubs("training_service").TrainingServiceStub(channel)
    experiments = harness.stubs("experiment_service").ExperimentServiceStub(channel)
    pixels = numpy.zeros(64 * 28 * 28, numpy.float32)
    return {
        "StreamMetrics": [training.StreamMetrics(training_pb.StreamMetricsRequest(name=job))],
        "StreamLogs": [training.StreamLogs(training_pb.StreamLogsRequest(name=job, follow=True))],
        "DownloadTensorboard": [training.DownloadTensorboard(
            training_pb.DownloadTensorboardRequest(name=job))],
        "StreamExperiment": [experiments.StreamExperiment(
            experiment_pb.StreamExperimentRequest(name=experiment))],
        "DownloadModel": downloads(harness.stubs("model_service").ModelServiceStub(channel)),
        "ModelStreamInfer": [open_stubs.GRPCInferenceServiceStub(channel).ModelStreamInfer(
            infer_forever(pixels))] if sends else [],
    }


def resident(server):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s*(\d+)", status)[1]) << 10


def test_readers_that_stop_reading_hold_nothing_up(server, long_undisturbed):
    big = server.start_job("big", preset="cnn-3", epochs=1, model_name="big")
    server.wait_job(big)
    experiment = harness.stubs("experiment_service").ExperimentServiceStub(server.channel).StartExperiment(
        experiment_pb.StartExperimentRequest(base_name="runs", configurations=[
            job_pb.TrainingSpec(preset="dense", dataset="small", epochs=1)], seeds=range(20))).name
    name = server.start_job("beside", **LONG_SPEC)
    watcher = harness.Watcher(server, name)
    wait_epoch(server, name, 1)
    # What the server loads once, for its first reader, is nobody's cost.
    for download in downloads(server.models):
        assert sum(len(chunk.data) for chunk in download)
    before = resident(server)
    channel = grpc.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)])
    calls = [open_streams(channel, name, experiment, reader < SENDING_READERS)
             for reader in range(READERS)]
    assert streams_of_the_server() == set(calls[0]), "a stream that no reader here reads"
    for by_method in calls:
        for opened in by_method.values():
            for call in opened:
                next(call)
    check_same(server, name, watcher.finish(), long_undisturbed)
    assert resident(server) - before < ALLOWED
    # One who comes back to reading finds all of it.
    late = [e.number for e in calls[0]["StreamMetrics"][0]]
    assert late == [e.number for e in watcher.events][1:]
    assert server.stop() == 0
    channel.close()
