"""What one client can make the server hold: bounded, whatever it sends and does not read."""

import gzip
import importlib
import io
import pathlib
import re

import grpc
import pytest

import harness
import http2

MIB = 1 << 20
# A server with nothing to do takes about 230 MiB, and everything that clients make it hold 768 more.
MOST = 1300 * MIB

dataset_pb = importlib.import_module("atelier.v1.dataset_service_pb2")
infer_pb = importlib.import_module("inference.grpc_service_pb2")
infer_grpc = importlib.import_module("inference.grpc_service_pb2_grpc")

CLASSIFY = "/atelier.v1.InferenceService/Classify"
INFER = "/inference.GRPCInferenceService/ModelInfer"
ATTACH = "/atelier.worker.v1.WorkerService/Attach"


def memory(server, what="VmRSS"):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(rf"{what}:\s+(\d+) kB", status)[1]) * 1024


def lives(server):
    """The server answers somebody else."""
    return server.dataset_service.ListDatasets(dataset_pb.ListDatasetsRequest(), timeout=60).datasets


@pytest.fixture(scope="module")
def bomb():
    """1.5 MB that unpack to 1.5 GB."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as file:
        for _ in range(1500):
            file.write(bytes(1_000_000))
    return packed.getvalue()


def test_a_compressed_message_is_refused_unpacked(server, bomb):
    worker = f"unix:{server.data_dir}/worker.sock"
    for address, path in ((server.address, CLASSIFY), (server.address, INFER), (worker, ATTACH)):
        with http2.Connection(address) as connection:
            stream = connection.call(path, encoding="gzip")
            connection.send(stream, http2.grpc_message(bomb, compressed=True), end=True)
            harness.wait_for(lambda: connection.read(0.1) is None or stream in connection.ended,
                             what=f"{path} to be refused")
    assert memory(server, "VmHWM") < MOST
    with pytest.raises(grpc.RpcError) as refused:
        server.inference.Classify(harness.inference_pb.ClassifyRequest(model="models/net"),
                                  compression=grpc.Compression.Gzip)
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "gzip" in refused.value.details()


def test_answers_that_nobody_takes_are_refused_at_some_point(server):
    request = dataset_pb.GetImagesRequest(
        name="datasets/small", split=harness.job_pb.DATASET_SPLIT_TRAINING, indices=range(1000))
    message = http2.grpc_message(request.SerializeToString())
    with http2.Connection(server.address, initial_window=0) as connection:
        streams = []
        for _ in range(1200):
            streams.append(connection.call("/atelier.v1.DatasetService/GetImages"))
            connection.send(streams[-1], message, end=True)
        harness.wait_for(lambda: connection.read(0.1) and len(connection.ended) > 900, timeout=120,
                         what="refusals")
        assert lives(server)
        assert memory(server, "VmHWM") < MOST


def test_requests_that_never_end_are_refused_at_some_point(server):
    part = bytes(1 * MIB)
    with http2.Connection(server.address) as connection:
        streams = []
        for _ in range(100):
            streams.append(connection.call(INFER))
            if not connection.send(streams[-1], http2.grpc_message(b"", size=15 * MIB)):
                break
        sent = 0
        for _ in range(14):
            for stream in streams:
                if connection.goaway is None and stream not in connection.ended:
                    sent += len(part) if connection.send(stream, part) else 0
        assert lives(server)
        print("sent", sent >> 20, "MiB, HWM", memory(server, "VmHWM") >> 20, "ended", len(connection.ended),
              connection.goaway)
        assert memory(server, "VmHWM") < MOST
